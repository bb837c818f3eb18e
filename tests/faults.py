"""Small faults that a hurried edit could make, and the unit tests that must notice each."""

from typing import NamedTuple


class Fault(NamedTuple):
    """One wrong edit.

    file: below workflow_scripts/earwitness. right: text that is there exactly once; wrong: what takes its place. meaning: what a user
    would get. tests: modules of tests/unit that must fail.
    """

    file: str
    right: str
    wrong: str
    meaning: str
    tests: tuple[str, ...]


FAULTS = [
    # core
    Fault(
        "core/randomness.py",
        "[str(seed), *map(str, names)]",
        "[str(seed), str(names[0])]",
        "every item of a rule draws the same",
        ("test_files", "test_splits"),
    ),
    Fault("core/code_identity.py", "isinstance(node.value.value, str)", "False", "a docstring retrains every model", ("test_code_identity",)),
    Fault(
        "statistics/random_slopes.py",
        "and float(np.sqrt(np.diag(self.covariance)).max()) < LARGEST_ERROR",
        "",
        "answers that are all alike give a mixed model that is called ok",
        ("test_counts",),
    ),
    Fault("core/progress.py", "elapsed_s / (done - initial)", "elapsed_s / done", "a job that goes on promises to end too soon", ("test_progress",)),
    Fault(
        "corpora/catalogue.py",
        "if expected is not None and number and not",
        "if expected is None and number and not",
        "a category that contradicts its target is believed",
        ("test_recordings",),
    ),
    Fault(
        "corpora/text_tables.py",
        "return named, text[found.end() :]",
        "return named, text",
        "the line sep=; is taken for the header",
        ("test_text_tables",),
    ),
    Fault(
        "corpora/text_tables.py",
        "            fault = fault or str(error) or",
        "            found, fault = {}, str(error) or",
        "a table whose names stand in quotes, as R writes them, cannot be read",
        ("test_text_tables",),
    ),
    Fault("provenance/watching.py", "and ended < told_at", "and ended < now", "jobs of this run that have ended seem at work", ("test_watching",)),
    Fault(
        "provenance/end_of_run.py",
        "if _since(path, started)] for what",
        "if path.is_file()] for what",
        "a report of an earlier run is named as this run's",
        ("test_watching",),
    ),
    Fault(
        "core/code_identity.py",
        "if program.name in WITHOUT_IMPORTS",
        "if program.name not in WITHOUT_IMPORTS",
        "an edit of what a program imports reruns nothing",
        ("test_code_identity",),
    ),
    # plan
    Fault(
        "plan/models.py",
        'if self.under_study[model]["origin"] == "tiny" else',
        'if self.under_study[model]["origin"] != "hub" else',
        "a model from a folder is used before its preflight",
        ("test_study_plan",),
    ),
    Fault("plan/models.py", "any(search.proposer ==", "all(search.proposer ==", "the proposer is not fetched beside edits", ("test_study_plan",)),
    Fault(
        "plan/values.py",
        '.replace(".", "__")',
        '.replace(".", "_")',
        "jobs of two models may have one name",
        ("test_study_plan",),
    ),
    Fault(
        "plan/study.py",
        "adapter.is_fold, alike].append",
        "adapter.is_fold].append",
        "an experiment that is asked for alone trains another's adapters",
        ("test_study_plan",),
    ),
    Fault(
        "plan/figure_names.py",
        "+ BASELINE_FIGURES * baseline",
        "+ BASELINE_FIGURES * prompts",
        "a study without prompts has no curves",
        ("test_page", "test_study_plan"),
    ),
    Fault("report/preflight_page.py", "ask * (adapters + 1)", "ask * adapters", "hours leave the base out", ("test_preflight_page",)),
    # audio
    Fault("audio/acoustics.py", "return 10 ** (level_db / 20)", "return 10 ** (level_db / 10)", "levels in dB are doubled", ("test_acoustics",)),
    Fault("audio/acoustics.py", "ACTIVITY_MARGIN_DB = 15.9", "ACTIVITY_MARGIN_DB = 25.9", "pauses count as speech in every SNR", ("test_acoustics",)),
    Fault(
        "audio/acoustics.py",
        "np.cos(np.pi * (np.arange(ramp)",
        "np.cos(2 * np.pi * (np.arange(ramp)",
        "ramps rise and fall again",
        ("test_acoustics",),
    ),
    # claims and draws
    Fault(
        "tables/one_model.py",
        'if system.model in (model, "")}',
        "if system.model == model}",
        "a model's part of the report loses the detectors",
        ("test_models",),
    ),
    Fault(
        "evaluation/comparison.py",
        'if outcomes.system.model in (model, "")}',
        "if True}",
        "what is said of a model depends on which others a study has",
        ("test_models",),
    ),
    Fault(
        "evaluation/claims.py",
        "found.low > above",
        "found.value > above",
        "a claim holds by its estimate, however wide the interval",
        ("test_claims",),
    ),
    Fault(
        "evaluation/claims.py",
        'claim.about == "model" and not is_published_model',
        "False",
        "the tiny base refutes what is claimed of the published model",
        ("test_claims",),
    ),
    Fault(
        "evaluation/draws.py",
        "math.sqrt(1 + 1 / len(drawn))",
        "math.sqrt(1 / len(drawn))",
        "one more draw is expected as near the mean as the mean is known",
        ("test_draws",),
    ),
    Fault(
        "core/prompt_text.py",
        "text = template.replace(QUESTION, question)",
        'text = template.replace(QUESTION, question) + "\\n"',
        "a question to the letter has something added",
        ("test_engine",),
    ),
    # corpora
    Fault(
        "corpora/rttm.py", "return Turn(start, start + duration, ", "return Turn(start, duration, ", "a duration is read as an end", ("test_rttm",)
    ),
    Fault(
        "corpora/rttm.py",
        "if time > previous and len(active) == 1:",
        "if time > previous and len(active) >= 1:",
        "overlapped speech is kept",
        ("test_rttm",),
    ),
    Fault(
        "corpora/clips.py", "levels >= loudest - ACTIVE_RANGE_DB", "levels >= loudest", "clips of steady speech count as inactive", ("test_clips",)
    ),
    Fault(
        "corpora/clips.py",
        "spacing = settings.duration_s + settings.min_gap_s - 1e-9",
        "spacing = settings.duration_s - 1e-9",
        "clips lie too close",
        ("test_clips",),
    ),
    # statistics
    Fault(
        "statistics/clustered.py",
        "float(np.sum((by_source - sample.means.mean()) ** 2)) / (n * (n - 1))",
        "float(np.sum((by_source - sample.means.mean()) ** 2)) / (n * n)",
        "intervals too short for few sources",
        ("test_clustered",),
    ),
    Fault("statistics/clustered.py", "float(2 * stats.t.sf(", "float(stats.t.sf(", "one-sided p values are told as two-sided", ("test_clustered",)),
    Fault(
        "statistics/clustered.py",
        "return float(stats.t.sf(min(statistics), self.df))",
        "return float(stats.t.sf(statistics[0], self.df))",
        "a large negative difference counts as equivalent",
        ("test_clustered", "test_comparison"),
    ),
    Fault(
        "statistics/clustered.py",
        "distance = max(abs(2 * mean - 1), LEAST_IMAGINED)",
        "distance = LEAST_IMAGINED",
        "intervals near 100 % are far too sure",
        ("test_clustered",),
    ),
    Fault(
        "statistics/clustered.py",
        "total, ww, gw, gg = g.sum(), w @ w, g @ w, g @ g",
        "total, ww, gw, gg = g.sum(), w @ w, g @ w, g @ w",
        "sources of unequal size count as more than they are",
        ("test_clustered",),
    ),
    Fault(
        "statistics/clustered.py",
        "return (extreme + 1) / (SIGN_FLIP_DRAWS + 1)",
        "return extreme / SIGN_FLIP_DRAWS",
        "a p value of exactly 0",
        ("test_clustered",),
    ),
    Fault(
        "statistics/quadrature.py",
        "scale = np.linalg.inv(np.linalg.cholesky(information))",
        "scale = np.linalg.inv(information)",
        "the quadrature is scaled to the wrong peak",
        ("test_response_models",),
    ),
    Fault(
        "evaluation/response_models.py",
        "np.asarray(condition[term] * member, dtype=float)",
        "np.asarray(condition[INTERCEPT] * member, dtype=float)",
        "the slopes of sources are intercepts",
        ("test_response_models",),
    ),
    Fault(
        "psychometrics/counts.py",
        "one.by_source.sum(axis=1) - own.get(source, nothing)",
        "one.by_source.sum(axis=1)",
        "a shared lapse rate is fitted without leaving a source out",
        ("test_counts",),
    ),
    # evaluation
    Fault(
        "evaluation/comparison.py",
        "family = tested & ~primary",
        "family = tested",
        "a declared contrast pays for the exploratory ones",
        ("test_comparison",),
    ),
    Fault(
        "evaluation/comparison.py",
        "1 - level / np.where(tested, times, 1)",
        "1 - level / np.where(tested, 1, 1)",
        "an interval excludes 0 beside the verdict that nothing is settled",
        ("test_comparison",),
    ),
    Fault(
        "evaluation/comparison.py",
        'outcomes_on(rows, index, grouped, "dev", "development")',
        'outcomes_on(rows, index, grouped, "test", "development")',
        "the adapter of the primary contrast is chosen on the test part",
        ("test_comparison",),
    ),
    Fault("runtime/devices.py", "return _driver_devices()", "return {}", "without nvidia-smi two jobs land on one GPU", ("test_devices",)),
    Fault(
        "evaluation/accuracy.py",
        '"balanced_accuracy": ([speech, nonspeech], [0.5, 0.5])',
        '"balanced_accuracy": ([speech, nonspeech], [share, 1 - share])',
        "balanced accuracy is plain accuracy",
        ("test_accuracy",),
    ),
    Fault(
        "evaluation/phases.py",
        '["development_gain", "proposer", "search_seed"], ascending=[False,',
        '["development_gain", "proposer", "search_seed"], ascending=[True,',
        "the worst question is called the best",
        ("test_phases",),
    ),
    Fault(
        "evaluation/error_analysis.py",
        "~outcomes.correct[:, chosen]",
        "outcomes.correct[:, chosen]",
        "error rates are accuracies",
        ("test_error_analysis",),
    ),
    Fault("evaluation/error_analysis.py", "[wrong > 0]", "[wrong > 1]", "an error of one seed is not listed", ("test_error_analysis",)),
    Fault(
        "evaluation/ensembles.py",
        "np.where(mean.log_odds > 0, 0.25, -0.25)",
        "np.where(mean.log_odds > 0, -0.25, 0.25)",
        "ties of a vote go to the wrong side",
        ("test_ensembles",),
    ),
    Fault(
        "evaluation/calibration.py",
        "(counts + 1) / (counts + 2)",
        "(counts + 2) / (counts + 2)",
        "Platt's targets are 1 and 0",
        ("test_calibration",),
    ),
    Fault(
        "evaluation/probability.py",
        "special.logit(prevalence)",
        "0.0 * special.logit(prevalence)",
        "the prevalence is ignored",
        ("test_calibration",),
    ),
    Fault(
        "evaluation/learning_curve.py",
        "not leaks(arm.split)",
        "True",
        "leaky adapters enter the learning curve",
        ("test_experiments",),
    ),
    Fault(
        "evaluation/test_set_size.py",
        '"lowest": float(np.quantile(values, 0.025))',
        '"lowest": float(np.quantile(values, 0.25))',
        "the spread of small test sets is understated",
        (
            "test_test_sizes_figure",
            "test_experiments",
        ),
    ),
    Fault("evaluation/power.py", "stats.t.ppf(1 - level / 2, df)", "stats.t.ppf(1 - level, df)", "power is overstated", ("test_power",)),
    Fault(
        "evaluation/calibration.py",
        "measured**2 - chance**2",
        "measured**2",
        "a calibrated system has a calibration error",
        ("test_calibration",),
    ),
    # psychometrics
    Fault(
        "psychometrics/thresholds.py",
        'return "left_censored"',
        'return "ok"',
        "a threshold below the tested range is extrapolated",
        ("test_psychometrics",),
    ),
    Fault(
        "psychometrics/fitting.py",
        "else 0.9 * (1 - family.guess_rate)",
        "else 0.09 * (1 - family.guess_rate)",
        "lapses above 9 % cannot be fitted",
        ("test_psychometrics",),
    ),
    Fault(
        "model/projector.py",
        "changed += (then @ first)",
        "changed -= (then @ first)",
        "what a language model learned is taken from it",
        ("test_assembled_base",),
    ),
    Fault(
        "model/projector_questions.py",
        "if questions is negated else",
        "if questions is plain else",
        "a projector learns to answer plain questions the wrong way round",
        ("test_assembled_base",),
    ),
    Fault(
        "psychometrics/contrasts.py",
        '"" if question == "model" else b.system.model',
        '""',
        "what is said of a model's thresholds moves with the other models of a study",
        ("test_models",),
    ),
    Fault("config.py", "if primary is None and len(models) > 1:", "if False:", "one of several models is handed over unasked", ("test_models",)),
    Fault("systems.py", 'kind == "detector" or name == PROBE_OF_NO_MODEL', 'kind == "detector"', "levels are a model's", ("test_encoder_probe",)),
    # splits
    Fault(
        "splits/study.py",
        '"dev" if k < dev else "train" for k, source',
        '"train" if k < dev else "train" for k, source',
        "folds have no development part",
        ("test_splits",),
    ),
    # model
    Fault(
        "model/engine/losses.py",
        "replace(prompt, after=prompt.after + answer[:-1])",
        "replace(prompt, after=prompt.after + answer)",
        "the answer is shown before it is asked",
        ("test_engine",),
    ),
    Fault(
        "model/engine/scoring.py",
        "odds = both[..., 0] - both[..., 1]",
        "odds = both[..., 1] - both[..., 0]",
        "speech and non-speech change places",
        ("test_engine",),
    ),
    Fault("model/engine/scoring.py", "log_odds=odds.mean(0).numpy()", "log_odds=odds[0].numpy()", "one option order decides", ("test_engine",)),
    Fault(
        "model/engine/losses.py",
        "weights**focal_gamma * surprise",
        "weights * surprise",
        "focal loss has a fixed exponent",
        ("test_engine", "test_finetuning"),
    ),
    Fault(
        "model/engine/optimisation.py",
        "(1 + math.cos(math.pi * progress))",
        "(1 + math.cos(progress))",
        "the learning rate never falls",
        ("test_optimisation",),
    ),
    # families
    Fault("model/families/whisper.py", "(2 * max(lengths) + 2)", "(2 * max(lengths))", "sounds are cut a frame too short", ("test_families",)),
    Fault(
        "model/families/whisper.py",
        "if min(lengths) < longest:",
        "if min(lengths) > longest:",
        "short sounds hear the silence behind them, beside longer ones",
        ("test_families",),
    ),
    Fault(
        "model/families/whisper.py", "return length // 2\n", "return (length + 1) // 2\n", "a sound has a token that nobody heard", ("test_families",)
    ),
    Fault(
        "model/families/qwen2_5_omni.py",
        "[:, :, : max(frames)], frames",
        "[:, :, : max(frames) - 1], frames",
        "the last frame is lost",
        ("test_families",),
    ),
    Fault(
        "model/families/qwen2_5_omni.py",
        "self.projector.register",
        "self.tower.ln_post.register",
        "what is projected was not normalised",
        ("test_families",),
    ),
    Fault("model/families/voxtral.py", "device, whole=True)", "device)", "Voxtral's window is cut", ("test_families",)),
    Fault(
        "model/families/voxtral.py", "[BEGIN_AUDIO][AUDIO]{% else %}", "[AUDIO]{% else %}", "no token says that a sound begins", ("test_families",)
    ),
    Fault(
        "model/families/loaded_model.py",
        'if scope == "published":',
        "if scope:",
        "an adapter of the language model reaches the ear",
        ("test_families",),
    ),
    Fault(
        "model/families/loaded_model.py",
        'if words.strip() not in (before if audio_position == "after" else after):',
        "if False:",
        "a question is asked with the sound on the other side",
        ("test_families",),
    ),
    Fault("model/families/loaded_model.py", "cls.head_name, *cls.unasked]", "*cls.unasked]", "the head is quantised", ("test_families",)),
    Fault("model/engine/loading.py", "eps=cast(Any, module).variance_epsilon", "eps=0.1", "fused norms are other norms", ("test_families",)),
    Fault(
        "model/engine/features.py",
        "if loaded.mixes_lengths or",
        "if True or",
        "a longer sound moves what is heard of a shorter one",
        ("test_families",),
    ),
    Fault(
        "model/families/qwen3_omni_moe.py",
        'if scope == "language_model" else None',
        "if not scope else None",
        "an adapter of the language model reaches the ear of a mixture of experts",
        ("test_families",),
    ),
    Fault("model/engine/adapters.py", "set(names) - reached", "set()", "modules that a recipe names are passed over", ("test_families",)),
    Fault(
        "model/families/tiny/parts.py",
        "0.3 * sinusoids",
        "0.4 * sinusoids",
        "the demo's tiny base is another than every number was measured with",
        ("test_tiny_base",),
    ),
    Fault(
        "model/families/tiny/audioflamingo3.py",
        ', audio_positions=("before",)',
        "",
        "a tiny base is asked with the sound where its family cannot have it",
        ("test_tiny_base",),
    ),
    # runtime
    Fault(
        "runtime/saved_state.py",
        'if content.get("fingerprint") != self._fingerprint:',
        'if content.get("fingerprint") is None:',
        "work is resumed with other settings",
        ("test_finetuning", "test_prompt_search", "test_saved_state"),
    ),
    Fault(
        "runtime/devices.py",
        'device in ("", "-1", "NoDevFiles")',
        'device in ("", "NoDevFiles")',
        "a job takes a GPU that it was denied",
        ("test_devices",),
    ),
    # detectors
    Fault(
        "detectors/classic.py",
        "WEBRTC_LEVELS_DBFS[best]}",
        "WEBRTC_LEVELS_DBFS[0]}",
        "the record names a level that was not chosen",
        ("test_detectors",),
    ),
    # leakage
    Fault(
        "leakage/fingerprints/grouping.py",
        "if not stretches & used:",
        "if True:",
        "one stretch counts many times as evidence",
        ("test_near_duplicates",),
    ),
    Fault(
        "leakage/fingerprints/alignment.py",
        "at = int(np.argmax(np.abs(sums)))",
        "at = int(np.argmax(sums))",
        "an inverted copy is told at another place, and as less alike",
        ("test_near_duplicates",),
    ),
    Fault("leakage/checks/provenance.py", "gap[gap < guard]", "gap[gap < 0]", "neighbouring segments within the guard pass", ("test_leakage",)),
    Fault(
        "leakage/checks/same_voice.py",
        "if clip.recording_id in lost:",
        "if False:",
        "who is in a recording that is gone is not heard",
        ("test_same_voice",),
    ),
    Fault(
        "leakage/checks/untrained_hearing.py",
        'sampled.part[chosen].eq("train")',
        'sampled.part[chosen].eq("test")',
        "what tells training apart is not asked",
        ("test_untrained_hearing",),
    ),
    Fault("leakage/checks/structure.py", "if n < wanted]", "if 0 < n < wanted]", "a part without a class passes", ("test_leakage",)),
    Fault(
        "leakage/checks/tuning.py",
        "not parts[source] <= set(ALLOWED_PARTS)]",
        "not parts[source] & set(ALLOWED_PARTS)]",
        "a source in train and test may be tuned on",
        ("test_tuning_audit",),
    ),
    Fault("leakage/gate.py", "if sha256_of(_existing(path)) not in audited:", "if not audited:", "the gate opens for other data", ("test_leakage",)),
    Fault("leakage/waivers.py", "< today:", "> today:", "an expired waiver still counts", ("test_leakage",)),
    # prompt search
    Fault(
        "prompt_search/search.py",
        "right = (values > 0) == of_class",
        "right = (values >= 0) == of_class",
        "a model that answers nothing is half right twice",
        ("test_prompt_search",),
    ),
    Fault(
        "prompt_search/search.py",
        "accuracy_and_margin(trials[k].development, development.speech), -k)",
        "accuracy_and_margin(trials[k].log_odds, sample.speech), -k)",
        "the search chooses on its own stimuli",
        ("test_prompt_search",),
    ),
    Fault(
        "prompt_search/search.py",
        "ranked[: math.ceil(len(ranked) / 2)]",
        "ranked[math.floor(len(ranked) / 2) :]",
        "the worse half goes on",
        ("test_prompt_search",),
    ),
    Fault(
        "prompt_search/gains.py",
        ".groupby([asked_of, pd.Series(summaries, table.index)])",
        ".groupby([pd.Series(summaries, table.index)])",
        "what is said of a model's questions moves with the other models of a study",
        ("test_prompt_search",),
    ),
    # report
    Fault(
        "report/psychometric_figures.py",
        '"fine-tuned": ("honest",)',
        '"fine-tuned": ()',
        "of several models no adapter's curve is drawn",
        ("test_models",),
    ),
    Fault("report/formats.py", 'text = f"{100 * difference:+.1f}"', 'text = f"{100 * difference:.1f}"', "a gain has no sign", ("test_page",)),
    # provenance
    Fault("provenance/crate.py", '"contentSize": str(path.stat().st_size)', '"contentSize": "0"', "the crate states no sizes", ("test_publishing",)),
    Fault(
        "provenance/crate.py",
        "entry = zipfile.ZipInfo(name)",
        "entry = zipfile.ZipInfo.from_file(file, name)",
        "the same results give other bytes",
        ("test_publishing",),
    ),
    # model
    Fault("model/engine/loading.py", "    refuse_other_weights(folder, told)\n", "", "weights that nobody trained answer", ("test_checkpoints",)),
    Fault("model/checkpoint.py", "if size != expected:", "if size > expected:", "cut weights end in a traceback", ("test_checkpoints",)),
    Fault(
        "model/checkpoint.py",
        "if absent := tensors - there:",
        "if absent := set():",
        "a shard may lack weights",
        ("test_checkpoints",),
    ),
    Fault("model/checkpoint.py", "        _refuse_other_shards(folder)\n", "", "older weights beside an index answer", ("test_checkpoints",)),
    Fault("model/engine/loading.py", "    refuse_infinite(folder, model)\n", "", "weights that are NaN answer NONSPEECH", ("test_checkpoints",)),
    Fault("model/engine/scoring.py", "if both.isnan().any():", "if False:", "an answer that is NaN is NONSPEECH", ("test_engine",)),
    # readers
    Fault("core/names.py", 'unicodedata.normalize("NFKC", SUFFIX', "str(SUFFIX", "wide digits hide a sound's number", ("test_source_names",)),
    Fault("corpora/catalogue.py", "if number != int(named[1]):", "if False:", "a shifted row gives a sound another's number", ("test_recordings",)),
    Fault("corpora/catalogue.py", "if last <= FARTHEST", "if True or last <= FARTHEST", "milliseconds are read as seconds", ("test_own_data",)),
    Fault("corpora/rttm.py", "not all(map(_says_nothing_of_a_name, fields[5:7]))", "False", "a missing field hides who speaks", ("test_rttm",)),
    Fault("leakage/manifests.py", "if speech in (a, b)", "if False", "a misspelt label of speech is no speech", ("test_manifests",)),
    Fault("leakage/manifests.py", 'transform("nunique") > 1', 'transform("nunique") > 2', "a file is of both classes", ("test_manifests",)),
    Fault(
        "corpora/text_tables.py",
        "if double := [name for name in plain",
        "if double := [name for name in []",
        "a column of Parquet is there twice",
        ("test_text_tables",),
    ),
    Fault(
        "audio/containers.py",
        "chained += bool(begun and page[5] & 2)",
        "pass",
        "streams behind the first are lost without a word",
        ("test_audio_files",),
    ),
    Fault("provenance/verification.py", '".." in PurePosixPath(path).parts', "False", "a list may vouch for files elsewhere", ("test_publishing",)),
    Fault("corpora/text_tables.py", 'separator == ";"', "True", "a comma in quotes is taken for a decimal one", ("test_text_tables",)),
    Fault(
        "leakage/checks/exact_duplicates.py",
        "if data.unread and shared.empty:",
        "if False:",
        "an audit passes what it could not read",
        ("test_manifests",),
    ),
    Fault("core/yaml_text.py", "if known is None:", "if False:", "an alias of itself hangs the configuration", ("test_yaml_text",)),
]
