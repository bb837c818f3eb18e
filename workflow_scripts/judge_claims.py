"""Say of every claim of the published study what this run measured, and whether it holds."""

import argparse
from pathlib import Path

from earwitness.core.arguments import by_name
from earwitness.core.errors import InputError, one_line_errors
from earwitness.evaluation.claims import PUBLISHED_MODEL, claims_table, load_claims
from earwitness.tables.accuracy import ACCURACY
from earwitness.tables.claims import CLAIMS
from earwitness.tables.comparisons import LEAKAGE
from earwitness.tables.draws import DRAWS
from earwitness.tables.ensembles import ENSEMBLES
from earwitness.tables.experiments import EXPERIMENT, LEARNING_CURVE, TEST_SIZES
from earwitness.tables.files import read_table, write_table
from earwitness.tables.generation import GENERATION
from earwitness.tables.mixed_models import MIXED_MODEL_EFFECTS
from earwitness.tables.one_model import of_model
from earwitness.tables.prompt_gains import PROMPT_CONDITIONS, PROMPT_GAINS, PROMPT_HISTORY
from earwitness.tables.psychometrics import CONTRASTS, POINTS, THRESHOLDS

SCHEMAS = {
    "accuracy": ACCURACY,
    "draws": DRAWS,
    "ensembles": ENSEMBLES,
    "experiments": EXPERIMENT,
    "generation": GENERATION,
    "history": PROMPT_HISTORY,
    "leakage": LEAKAGE,
    "learning_curves": LEARNING_CURVE,
    "mixed_model_effects": MIXED_MODEL_EFFECTS,
    "points": POINTS,
    "prompt_conditions": PROMPT_CONDITIONS,
    "prompts": PROMPT_GAINS,
    "test_sizes": TEST_SIZES,
    "threshold_contrasts": CONTRASTS,
    "thresholds": THRESHOLDS,
}
"""Name of a table, or of the folder of the tables of experiments -> its schema."""


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("claims", type=Path, help="what the published study claimed (YAML)")
    parser.add_argument("verdicts", type=Path, help="where the table of verdicts goes (CSV)")
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="tables of the run (CSV)")
    parser.add_argument("--names", nargs="+", required=True, help=f"what these are, in their order: {', '.join(SCHEMAS)}; as in draws/NAME")
    parser.add_argument("--model", required=True, help="the model that the claims are judged by, as the configuration names it")
    parser.add_argument("--repository", required=True, help="its repository, or its folder")
    parser.add_argument("--confidence", type=float, required=True, help="level of every interval")
    args = parser.parse_args()

    tables = {}
    for name, path in by_name("--names", args.names, args.tables).items():
        if (kind := name.split("/")[0]) not in SCHEMAS:
            raise InputError(f"--names: no claim is read from a table {name}; name any of {', '.join(SCHEMAS)}")
        tables[name] = of_model(read_table(path, SCHEMAS[kind]), args.model)
    table = claims_table(load_claims(args.claims), tables, args.repository == PUBLISHED_MODEL, args.confidence)
    write_table(args.verdicts, table, CLAIMS)


if __name__ == "__main__":
    main()
