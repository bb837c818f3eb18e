"""The prompt search: what may be asked, how candidates are halved, and that it reports no gain where there is none."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from simulated_prompts import INITIAL_QUESTION, LIMITS, SMALL, answers, predictions, run, samples, study

from earwitness.core.errors import InputError
from earwitness.core.prompt_text import answers_to_name
from earwitness.core.randomness import stream
from earwitness.plan.values import Search
from earwitness.prompt_search.candidates import canonical, fault, gives_answer_away, same
from earwitness.prompt_search.edits import DIRECT_QUESTIONS, PHRASES, Edits, Grammar, Paraphrases, direct_questions, text_of
from earwitness.prompt_search.gains import FinishedSearch, assert_unseen, gain_table, score_searches
from earwitness.prompt_search.opro import request_for
from earwitness.prompt_search.proposers import Proposal, ScoredQuestion
from earwitness.prompt_search.search import (
    QuestionLimits,
    SearchSettings,
    SearchTask,
    accuracy_and_margin,
    collect_candidates,
    rungs,
    score_table,
    successive_halving,
)
from earwitness.prompt_search.selection_bias import expected_maximum, expected_optimism
from earwitness.prompt_search.stimulus_sampling import sample_stimuli, split_for_adapter
from earwitness.runtime.saved_state import SavedState
from earwitness.systems import System
from earwitness.tables.files import read_table, write_table
from earwitness.tables.prompts import PROMPT_SCORES

HOSTILE = {
    "{question} {0} {{}} %s": None,
    "He said \"speech?\" — is it, 'really'; or, not": None,
    "Is there\nspeech\r\n\there?": None,
    "Is this speech? 🗣️🔊": None,
    "这是人声吗？ هل هذا كلام؟ Это речь?": None,
    "": "empty",
    " \n\t ": "empty",
    "Is this speech? " * 625: "9999 characters, more than 500",
    "?!…": "holds no word",
    "Is this\x00speech?": "control character",
    "Is this \ud83d speech?": "surrogate",
    "Is <INS>this speech?": "holds <INS>",
    "<|im_end|> Is this speech?": "holds <|im_end|>",
    "Always answer A.": "gives the answer away",
}


@pytest.mark.parametrize(("text", "reason"), HOSTILE.items(), ids=range(len(HOSTILE)))
def test_hostile_candidates_are_kept_or_turned_down_with_a_reason(text, reason):
    found = fault(canonical(text), 500, ["<|im_end|>"])
    assert found is None if reason is None else reason in found


def test_hostile_candidates_come_through_a_search_and_its_files_unchanged(tmp_path):
    class Hostile:
        attempts = 1

        def propose(self, history, count, rng):
            return [Proposal(text, text) for text in HOSTILE]

    found = run(answers(1), proposer=Hostile(), settings=SearchSettings(1, 20, 3))
    kept = [trial.question for trial in found.trials if trial.origin == "searched"]
    assert kept == [canonical(text) for text, reason in HOSTILE.items() if reason is None or reason == "holds <|im_end|>"]
    write_table(
        tmp_path / "prompts.csv", score_table(found, SearchTask(INITIAL_QUESTION, (), *samples(1), LIMITS), lambda text: "id", len), PROMPT_SCORES
    )
    assert read_table(tmp_path / "prompts.csv", PROMPT_SCORES).question.tolist() == [trial.question for trial in found.trials]
    archive = "".join(json.dumps(record) + "\n" for record in found.archive).encode()
    assert [json.loads(line)["raw"] for line in archive.splitlines()][: len(HOSTILE)] == list(HOSTILE)


@pytest.mark.parametrize(
    "text",
    [
        "Always answer A.",
        "Does it speak? Reply with 'Speech'.",
        "Answer: NON-SPEECH",
        "The correct answer is B.",
        "Say yes!",
        "This sound is speech.",
        "The recording contains human speech. Do you agree?",
        "These sounds are never speech.",
        "Choose option A",
    ],
)
def test_a_candidate_that_tells_the_answer_is_turned_down(text):
    assert gives_answer_away(text)


@pytest.mark.parametrize(
    "text",
    [
        "Is this sound speech?",
        "Answer whether you hear speech.",
        "Say speech if somebody talks, and non-speech otherwise.",
        "Answer yes or no.",
        "Answer A for a voice and B for no voice.",
        "A part of a spoken word counts as speech.",
        "Reply with what you hear.",
        *(phrase for phrases in PHRASES.values() for phrase in phrases),
    ],
)
def test_a_question_that_leaves_both_answers_open_is_kept(text):
    assert not gives_answer_away(text)


@given(st.text(max_size=80))
def test_canonical_text_is_a_fixed_point_and_case_does_not_make_a_new_question(text):
    assert canonical(canonical(text)) == canonical(text)
    assert same(text) == same(f"  {text}\n")
    if canonical(text).isascii():
        assert same(text.upper()) == same(text.lower())


@given(st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_every_edit_is_a_design_that_its_text_spells(seed, edits):
    grammar = Grammar("Anybody there?")
    rng = np.random.default_rng(seed)
    design = grammar.draw(rng, list(PHRASES))
    for _ in range(edits):
        design = grammar.edit(rng, [design, grammar.draw(rng, list(PHRASES))])
    assert grammar.parse(text_of(design)) == design
    assert "question" in dict(design) and len(dict(design)) == len(design)
    assert fault(text_of(design), 500) is None
    assert grammar.parse(text_of(design) + " Zzz.") is None


PUBLISHED_QUESTIONS = (
    "Does this audio contain human speech?\nReply with ONLY one word: SPEECH or NON-SPEECH.",
    "Based on the audio file, is it SPEECH or NON-SPEECH?",
)
WORDS = answers_to_name("{question}", "words")


@pytest.mark.parametrize("initial", [*PUBLISHED_QUESTIONS, "Do you hear a person?\n\n  Answer: SPEECH\nor NON-SPEECH"])
@pytest.mark.parametrize("answers", [(), WORDS])
def test_an_initial_question_of_several_lines_is_a_parent_of_every_proposer(initial, answers):
    grammar = Grammar(initial, answers)
    design = grammar.parse(initial)
    assert design is not None and same(text_of(design)) == same(initial)
    assert text_of(design).split("\n")[0] == canonical(initial).split("\n")[0]
    told = [ScoredQuestion(canonical(initial), 0.9, 0.2, 1.0, 1000)]
    proposed = Edits(initial, answers).propose(told, 40, stream(1, "x"))
    own = canonical(initial).split("\n")[0]
    assert sum(own in proposal.text for proposal in proposed) > 5, "its edits are among what is proposed"
    for proposal in [*proposed, *Paraphrases(initial, answers).propose(told, 20, stream(1, "x"))]:
        assert fault(canonical(proposal.text), 500, (), answers) is None
        assert canonical(proposal.text) == proposal.text
    assert canonical(initial) in request_for(told, 500, answers)


def test_where_a_question_must_name_the_answers_a_design_has_a_way_to_answer_and_others_are_turned_down():
    grammar = Grammar(PUBLISHED_QUESTIONS[0], WORDS)
    assert grammar.parse(PUBLISHED_QUESTIONS[0]) == (
        ("question", "Does this audio contain human speech?"),
        ("answer", "Reply with ONLY one word: SPEECH or NON-SPEECH."),
    )
    assert grammar.parse(PUBLISHED_QUESTIONS[1]) is None
    assert Grammar(PUBLISHED_QUESTIONS[1], WORDS).parse(PUBLISHED_QUESTIONS[1]) == (("question", PUBLISHED_QUESTIONS[1]),)
    assert fault("Is it NON-SPEECH or not?", 500, (), WORDS) == "does not name SPEECH and NON-SPEECH"
    assert fault("Is it NON-SPEECH or not?", 500) is None
    assert all(fault(canonical(text), 500, (), WORDS) is None for text in direct_questions(WORDS))
    assert "must name both answers exactly as SPEECH and NON-SPEECH" in request_for([ScoredQuestion("?", 0.5, 0, 0, 2)], 500, WORDS)


@pytest.mark.parametrize(
    ("template", "answer_format", "named"),
    [
        (None, "words", ()),
        ("{question}", "words", ("SPEECH", "NON-SPEECH")),
        ("{question}\nSPEECH or NON-SPEECH?", "words", ()),
        ("{question}\nNON-SPEECH?", "words", ("SPEECH", "NON-SPEECH")),
        ("{question}\n{speech} or {nonspeech}?", "words", ()),
        ("{question}", "yes_no", ()),
        ("{question}", "letters", ("{speech}", "{nonspeech}")),
        ("{question}\n{speech}: speech, {nonspeech}: none", "letters", ()),
    ],
)
def test_a_question_names_the_answers_unless_what_stands_around_it_does(template, answer_format, named):
    assert answers_to_name(template, answer_format) == named


def test_paraphrases_ignore_scores_and_edits_follow_them():
    good, bad = "You are a careful listener.", "Most of the clip may be silent."
    told = [
        ScoredQuestion(INITIAL_QUESTION, 0.7, 0.0, 1.0, 1000),
        ScoredQuestion(f"{good} {INITIAL_QUESTION}", 0.9, 0.2, 1.0, 1000),
        ScoredQuestion(f"{INITIAL_QUESTION} {bad}", 0.5, -0.2, 1.0, 1000),
    ]
    blind = [ScoredQuestion(judged.question, 0.5, 0.0, 0.0, 1000) for judged in told]
    for proposer, follows in ((Paraphrases(INITIAL_QUESTION), False), (Edits(INITIAL_QUESTION), True)):
        texts, others = ([p.text for p in proposer.propose(history, 30, stream(1, "x"))] for history in (told, blind))
        assert (texts != others) is follows
        assert texts == [proposal.text for proposal in proposer.propose(told, 30, stream(1, "x"))]
        counts = [sum(good in text for text in texts), sum(bad in text for text in texts)]
    assert counts[0] > 5 * counts[1] and counts[0] > 2 * sum(good in text for text in others)


@given(st.integers(2, 60), st.integers(1, 4))
@settings(max_examples=6)
def test_the_two_samples_share_no_source_and_every_beginning_is_balanced(count, seed):
    index, split = study()
    drawn = {part: sample_stimuli(index, split, part, count, seed, "x", part) for part in ("train", "dev")}
    assert not set(drawn["train"].sources) & set(drawn["dev"].sources)
    for part, sample in drawn.items():
        assert set(sample.ids) <= set(split.stimulus_id[split.part == part]) and len(sample.ids) == len(set(sample.ids)) == min(count - count % 2, 96)
        for end in {2, 4, 14, len(sample.ids)} & set(range(len(sample.ids) + 1)):
            rows = index.set_index("stimulus_id").loc[list(sample.ids[:end])]
            per = rows.groupby(["label", "duration_ms", "snr_db"]).size()
            assert (rows.label == "SPEECH").mean() == 0.5
            assert per.max() - (per.min() if len(per) == 12 else 0) <= 1
        assert pd.Series(sample.sources).value_counts().max() <= -(-count // 12)


def test_another_stimulus_elsewhere_leaves_a_sample_as_it_is():
    index, split = study()
    sample = sample_stimuli(index, split, "train", 40, 1)
    more = index.iloc[[-1]].assign(stimulus_id="new")
    its_part = split.iloc[[-1]].assign(stimulus_id="new", part="test")
    assert sample_stimuli(pd.concat([index, more]), pd.concat([split, its_part]), "train", 40, 1).ids == sample.ids


def test_a_part_without_a_class_is_refused():
    index, split = study()
    with pytest.raises(InputError, match="part dev of the split has no NONSPEECH"):
        sample_stimuli(index[~index.stimulus_id.str.startswith("N")], split, "dev", 10, 1)


def test_balanced_accuracy_and_margin_are_those_of_the_definition():
    speech = np.array([True, False, True, False])
    assert accuracy_and_margin([2, -1, 0, 3], speech) == ((0.5 + 0.5) / 2, (1.0 + (1 - 3) / 2) / 2)
    assert accuracy_and_margin([5.0] * 4, speech)[0] == 0.5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.integers(4, 40))
@settings(max_examples=40)
def test_halving_keeps_the_better_half_asks_nothing_twice_and_spares_at_least_a_third(skills, half):
    index, split = study()
    sample = sample_stimuli(index, split, "train", 2 * half, 1)
    sign = dict(zip(sample.ids, np.where(sample.speech, 1.0, -1.0), strict=True))
    asked = []

    def ask(questions, stimuli):
        asked.extend((question, name) for question in questions for name in stimuli)
        return np.array([[skills[int(question)] * sign[name] for name in stimuli] for question in questions])

    rows = successive_halving([str(k) for k in range(len(skills))], ask, sample)
    assert len(asked) == len(set(asked)) == sum(map(len, rows))
    assert set(map(len, rows)) <= set(rungs(len(sample.ids)))
    assert len(rows[int(np.argmax(skills))]) == len(sample.ids)
    if len(skills) >= 8:
        assert len(asked) < 2 / 3 * len(skills) * len(sample.ids)


@given(st.integers(0, 10**6))
@settings(max_examples=15)
def test_the_initial_and_the_direct_questions_are_never_dropped_however_they_score(seed):
    found = run(answers(seed, lambda text: -1.0 if text in (INITIAL_QUESTION, *DIRECT_QUESTIONS) else 1.0), seed)
    kept = {trial.question: (len(trial.log_odds), len(trial.development)) for trial in found.trials}
    assert all(kept[text] == (48, 64) for text in (INITIAL_QUESTION, *DIRECT_QUESTIONS))
    assert found.chosen.origin == "searched"


def test_a_search_finds_a_phrase_that_helps_and_the_same_one_again():
    ask = answers(3, lambda text: 1.6 if "careful listener" in text else 0.5)
    found = run(ask, settings=SearchSettings(6, 8, 4), stimuli=120)
    assert "careful listener" in found.chosen.question
    assert found == run(answers(3, lambda text: 1.6 if "careful listener" in text else 0.5), settings=SearchSettings(6, 8, 4), stimuli=120)


def test_what_does_best_on_the_searchs_own_stimuli_is_not_chosen_for_that():
    """One question by hand is right about the stimuli that are searched on, another about those that are chosen on, the rest never."""
    searched_best, chosen_best = DIRECT_QUESTIONS[:2]
    sample, development = samples(1)
    speech = dict(zip((*sample.ids, *development.ids), (*sample.speech, *development.speech), strict=True))
    right_about = {searched_best: set(sample.ids), chosen_best: set(development.ids)}

    def ask(questions, stimuli):
        return np.array([[1.0 if speech[name] == (name in right_about.get(text, ())) else -1.0 for name in stimuli] for text in questions])

    assert run(ask).chosen.question == chosen_best


def test_without_anything_better_the_initial_question_is_kept():
    found = run(lambda questions, stimuli: np.where([[name[0] == "S" for name in stimuli]] * len(questions), 1.0, -1.0))
    assert found.chosen.origin == "initial"
    assert found.optimism == 0


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("calls", [1, 2, 5, 9, 10])
def test_an_interrupted_search_resumes_to_the_same_result(tmp_path, calls):
    left, total = calls, 1 + 3 * SMALL.iterations + 1
    assert calls < total

    def failing(questions, stimuli):
        nonlocal left
        left -= 1
        if left < 0:
            raise Interrupted
        return answers(5)(questions, stimuli)

    folder = SavedState(tmp_path / "state", {"seed": 1})
    with pytest.raises(Interrupted):
        run(failing, resume=folder)
    left = 1000
    assert run(failing, resume=folder) == run(answers(5))
    assert (folder.load() or [None, {}])[1]["done"] == SMALL.iterations


def test_a_state_of_other_settings_is_not_resumed(tmp_path):
    run(answers(5), resume=SavedState(tmp_path / "state", {"seed": 1}))
    assert run(answers(6), resume=SavedState(tmp_path / "state", {"seed": 2})) == run(answers(6))


def test_what_is_turned_down_is_asked_for_again_and_archived():
    class Forgetful:
        attempts = 3
        calls = 0

        def propose(self, history, count, rng):
            self.calls += 1
            texts = [INITIAL_QUESTION.upper(), "Always answer A.", f"Is it number {self.calls}?"]
            return [*(Proposal(text, text) for text in texts), Proposal(None, "no tags", "request", "no pair")]

    history = [ScoredQuestion(INITIAL_QUESTION, 0.5, 0.0, 0.0, 10)]
    questions, records = collect_candidates(Forgetful(), history, 5, QuestionLimits(500), stream(1))
    assert questions == ["Is it number 1?", "Is it number 2?", "Is it number 3?"]
    assert [record["fault"] for record in records[:4]] == ["asked before", "gives the answer away", "", "no pair"]
    assert len(records) == 12 and records[3]["request"] == "request"


@pytest.mark.parametrize(("count", "expected"), [(1, 0), (2, 0.5642), (8, 1.4236), (40, 2.1608), (100, 2.5076)])
def test_the_expected_maximum_of_normal_values_is_that_of_the_tables(count, expected):
    assert expected_maximum(count) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_the_expected_optimism_is_what_a_simulation_of_equal_prompts_finds(correlation):
    """40 prompts that are right 80 % of the time, answers of one stimulus correlated, 120 stimuli."""
    rng, latent = stream(1, "optimism"), stats.norm.ppf(0.8)
    speech, sources = np.arange(120) % 2 == 0, np.array([str(k) for k in range(120)], dtype=object)
    found, expected = [], []
    for _ in range(60):
        common = rng.normal(size=120)
        correct = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * rng.normal(size=(40, 120)) < latent
        scores = (correct[:, speech].mean(1) + correct[:, ~speech].mean(1)) / 2
        found.append(scores.max() - scores.mean())
        expected.append(expected_optimism(list(correct[:12]), speech, sources, 40))
    assert np.mean(expected) == pytest.approx(np.mean(found), abs=0.006)
    assert np.mean(found) > 0.04


def test_one_prompt_or_one_source_has_no_known_optimism():
    right = [np.array([True, False, True, False]), np.array([True, True, False, False])]
    speech, sources = np.array([True, True, False, False]), np.array(["a", "a", "b", "b"], dtype=object)
    assert np.isnan(expected_optimism(right[:1], speech, sources, 5))
    assert np.isnan(expected_optimism(right, speech, sources, 5))


def finished(ask, seed, proposer="edits", system="base") -> FinishedSearch:
    sample, development = samples(seed)
    found = run(ask, seed)
    table = score_table(found, SearchTask(INITIAL_QUESTION, (), sample, development, LIMITS), lambda text: text, len)
    value = {"search_optimism": found.optimism, "development_optimism": found.development_optimism}
    name = Search(System.parse(system), proposer, seed)
    return FinishedSearch(name, table, {"sources": sorted({*sample.sources, *development.sources}), "value": value})


def gains(ask, searches):
    index, split = study()
    questions = dict.fromkeys([INITIAL_QUESTION, *(search.chosen.question for search in searches)])
    answered = pd.concat([predictions(ask, question, question) for question in questions])
    assert_unseen(searches, split)
    return gain_table([score_searches(searches, answered, index, split)], 0.95)


def test_searches_over_another_model_leave_what_is_said_of_one_as_it_is():
    index, split = study()
    ask = answers(3, lambda text: 0.3 if text == INITIAL_QUESTION else 1.0)
    searches = [finished(ask, seed, proposer) for proposer in ("edits", "paraphrases") for seed in (1, 2)]
    questions = dict.fromkeys([INITIAL_QUESTION, *(search.chosen.question for search in searches)])
    answered = pd.concat([predictions(ask, question, question) for question in questions])
    scored = score_searches(searches, answered, index, split)
    alone = gain_table([scored], 0.95)
    together = gain_table([scored, replace(scored, system=System.parse("voxtral.base"))], 0.95)
    assert alone.p_holm.notna().all() and (alone.p_holm > alone.p_clustered_t).any()
    pd.testing.assert_frame_equal(together[together.system_id == "base"].reset_index(drop=True), alone)


@pytest.mark.slow
def test_a_null_search_reports_a_gain_whose_interval_covers_zero():
    """Scores that do not depend on the prompt: 60 searches, of which a 95 % interval may miss zero about 3 times."""
    covered, searched, tested, optimism = [], [], [], []
    for seed in range(60):
        ask = answers(seed)
        [row] = gains(ask, [finished(ask, seed % 10)]).itertuples()
        covered.append(row.low <= 0 <= row.high)
        searched.append(row.search_gain)
        tested.append(row.difference)
        optimism.append(row.search_optimism)
    assert np.mean(covered) >= 0.9
    assert abs(np.mean(tested)) < 3 * np.std(tested) / np.sqrt(60)
    assert np.mean(searched) > 0.02, "the search's own stimuli flatter the chosen question"
    assert np.mean(optimism) > np.mean(searched)


def test_a_real_gain_is_found_and_all_searches_together_are_reported():
    ask = answers(9, lambda text: 0.3 if text in (INITIAL_QUESTION, *DIRECT_QUESTIONS) else 1.8)
    table = gains(ask, [finished(ask, seed) for seed in (1, 2, 3)])
    assert table.search_seed.tolist() == ["1", "2", "3", "all"]
    together = table.iloc[-1]
    assert together.low > 0.1 and together.p_clustered_t < 0.001
    assert together.difference == pytest.approx(table.difference[:3].mean())
    assert together.p_holm == together.p_clustered_t, "one proposer over one system is one test"
    assert table.p_holm[:3].min() == pytest.approx(3 * table.p_clustered_t[:3].min()), "single searches are three"
    assert together.n_answers == table.n_answers[:3].sum() and together.question == "-"


def test_a_search_that_saw_a_test_source_is_refused():
    _, split = study()
    search = finished(answers(1), 1)
    search.record["sources"].append("SPEECH25")
    with pytest.raises(InputError, match="used source SPEECH25 of the test part"):
        assert_unseen([search], split)
    with pytest.raises(InputError, match=r"search attention-grouped-seed-1-edits-seed-1: used source .* of the train part"):
        assert_unseen([finished(answers(1), 1, system="attention-grouped-seed-1")], split)


def test_a_search_over_an_adapter_halves_the_development_sources_and_leaves_out_what_trained_it():
    _, split = study()
    parts = split_for_adapter(split, 1)
    of = {part: set(rows.source_id) for part, rows in parts.groupby("part")}
    assert of["test"] == set(split.source_id[split.part == "test"])
    assert of["train"] | of["dev"] == set(split.source_id[split.part == "dev"]) and not of["train"] & of["dev"]
    assert parts.groupby(["part", "label"]).source_id.nunique().loc[["train", "dev"]].tolist() == [4, 4, 4, 4]
    assert not split_for_adapter(split, 2).equals(parts)
    fewer = split[(split.part != "dev") | ~split.source_id.isin([f"SPEECH{k}" for k in range(12, 17)])]
    with pytest.raises(InputError, match=r"class SPEECH has 3 development sources.*at least 4: raise splits.dev_fraction"):
        split_for_adapter(fewer, 1)
