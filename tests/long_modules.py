"""Which tests take long, as measured by their processor time."""

LONGEST = ("test_own_manifest", "test_plan", "test_leakage", "test_reruns", "test_stand_in", "test_documented_commands", "test_names", "test_looks")
"""Of more than twenty seconds, the longest first: they begin before the others, so that none is left to run alone at the end."""

THOROUGH = {
    "test_adapter_training": "test_an_interruption_leaves_no_adapter_and_what_was_finished_is_not_trained_again",
    "test_assembled_base": "test_a_language_model_with_a_weight_missing_is_refused_by_its_name",
    "test_audio_files": "test_a_quarter_of_a_file_is_truncated",
    "test_checkpoints": "test_a_base_in_shards_is_the_same_model",
    "test_claims": "test_a_verdict_follows_from_where_the_whole_interval_lies",
    "test_code_identity": "test_every_import_of_the_library_can_be_followed",
    "test_counts": "test_widths_of_every_sigmoid_are_psignifits_within_one_percent",
    "test_detect_speech": "test_a_detector_hears_the_same_in_blocks_of_any_length",
    "test_detectors": "test_the_energy_detector_hears_swelling_against_steady_sound_on_sources_it_was_not_tuned_on",
    "test_documentation": "test_links_and_files_that_a_page_names_are_there",
    "test_engine": "test_an_adapter_reloads_to_the_same_scores_and_only_on_its_base",
    "test_experiments": "test_further_out_is_less_known",
    "test_families": "test_each_family_has_a_file_of_its_name_that_other_families_do_not_import",
    "test_fetch_model": "test_the_token_stays_with_the_hub",
    "test_figures": "test_too_few_sources_are_shown_as_dots_without_an_interval",
    "test_files": "test_a_reader_that_goes_away_ends_the_program_without_a_word",
    "test_finetuning": "test_the_classes_take_turns_and_none_of_a_class_repeats_before_all_were_seen",
    "test_fuzz": "test_rttm",
    "test_leakage": "test_the_sweep_finds_what_comparing_all_pairs_finds",
    "test_looks": "test_systems_of_one_study_differ_in_marker_so_that_grey_tells_them_apart",
    "test_manifests": "test_bad_input_ends_in_one_line_and_writes_nothing",
    "test_mixed_model_table": "test_few_sources_are_described_not_tested",
    "test_models": "test_the_best_model_on_development_sources_is_set_against_each_other_and_first_against_the_next",
    "test_near_duplicates": "test_a_copy_that_many_clips_share_is_still_found",
    "test_nearest_split": "test_what_cannot_be_is_said_with_the_component_and_what_holds_it",
    "test_opro": "test_a_text_ends_where_its_question_does",
    "test_page": "test_the_answer_turns_a_comparison_the_right_way_round",
    "test_prediction": "test_two_encodings_have_the_same_bytes",
    "test_prompt_figures": "test_the_best_so_far_never_falls_and_counts_only_what_was_asked_about_everything",
    "test_prompt_programs": "test_the_best_question_of_several_searches_is_what_is_asked_afterwards",
    "test_prompt_search": "test_halving_keeps_the_better_half_asks_nothing_twice_and_spares_at_least_a_third",
    "test_proposal": "test_shares_that_no_split_can_have_are_refused",
    "test_psychometric_figures": "test_thresholds_read_as_numbers_limits_or_reasons",
    "test_psychometrics": "test_a_single_source_is_described_without_an_interval",
    "test_published_leaks": "test_one_speaker_in_two_corpora_is_heard",
    "test_publishing": "test_without_authors_the_archive_names_none",
    "test_question_scorer": "test_a_stimulus_without_features_is_named_and_special_tokens_are_known",
    "test_random_slopes": "test_laplaces_approximation_is_lme4s",
    "test_recording_set_up": "test_too_few_sources_are_not_judged",
    "test_response_models": "test_errors_over_sources_are_those_of_refits_without_each_source",
    "test_same_voice": "test_the_filterbank_is_kaldis",
    "test_self_test": "test_a_sample_keeps_every_part_and_class_and_whole_rows",
    "test_shortcut_checks": "test_classes_that_differ_in_nothing_trivial_raise_no_alarm",
    "test_splits": "test_a_source_is_in_one_part_and_every_part_has_both_classes",
    "test_stand_in": "test_the_hubs_configuration_gives_the_published_number_of_parameters",
    "test_stimuli": "test_reading_clips_does_not_keep_what_was_read_in_memory",
    "test_synthesis": "test_sounds_of_one_kind_are_other_sounds_in_other_corpora",
    "test_untrained_hearing": "test_parts_that_sound_alike_pass_and_what_adds_noise_is_not_heard",
}
"""Modules of unit tests of more than five seconds -> the one test of each that `make quick` runs."""

LONG_TESTS = {
    "test_calibration": (
        "test_the_program_tells_the_audit_what_it_fitted_on",
        "test_calibration_on_development_sources_mends_overconfidence_on_unseen_ones",
    ),
    "test_configuration": (
        "test_whatever_stands_under_a_key_it_is_accepted_or_refused_in_one_line",
        "test_overlays_merge_as_snakemake_merges_them",
    ),
    "test_detection_measures": ("test_the_programs_tune_on_development_recordings_and_measure_on_test_recordings",),
    "test_devices": ("test_many_jobs_never_hold_one_device_at_the_same_time",),
    "test_draws": (
        "test_draws_differ_in_sources_and_rows_and_are_the_same_every_time",
        "test_six_draws_tell_where_the_mean_lies_and_where_one_more_draw_falls",
    ),
    "test_ensembles": ("test_the_vote_is_the_majority_and_a_tie_goes_with_the_mean",),
    "test_provenance": ("test_dropping_secrets_twice_is_dropping_them_once", "test_the_program_writes_three_files_and_no_secret"),
    "test_security": (
        "test_no_program_reads_pickles_or_runs_what_it_reads",
        "test_provenance_holds_no_token_of_the_environment_or_of_an_address",
    ),
    "test_systems": ("test_no_two_systems_share_a_text",),
    "test_threads": ("test_no_program_that_computes_with_torch_imports_it_before_that_is_said",),
    "test_yaml_text": ("test_what_yaml_would_change_without_a_word_is_refused_by_line",),
}
"""Other modules of unit tests -> their tests of more than a second, which `make quick` leaves out."""
