"""Write a page of docs/claims for every group of claims, from the ledger."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.core.files import atomic
from earwitness.evaluation.claims import Claim, Ledger, load_claims, true_where_words

ROOT = Path(__file__).parents[1]
CLAIMS, PAGES = ROOT / "config" / "claims.yaml", ROOT / "docs" / "claims"
NOTICE = "<!-- written by workflow_scripts/document_claims.py from config/claims.yaml, do not edit -->"
OF_MODEL = {"model": "the published model alone", "method": "any base", "arithmetic": "no measurement"}


def pages(ledger: Ledger) -> dict[str, str]:
    """File name -> text of every page, and of the list of them."""
    written = {f"{name}.md": _page(group["title"], group["text"], ledger, name) for name, group in ledger.groups.items()}
    numbers = {name: sum(claim.group == name for claim in ledger.claims) for name in ledger.groups}
    rows = [f"| [{group['title']}]({name}.md) | {numbers[name]} |" for name, group in ledger.groups.items()]
    introduction = (
        "The report's second section gives each claim a verdict, computed from the tables of the run. A claim *holds* where the whole interval of\n"
        "its quantity agrees with it, and is *refuted* where no part of the interval does. Otherwise, or where the run did not measure it, it is\n"
        "*not settled*. A number of the published model is *not measurable* with another base. `results/tables/claims.csv` has all verdicts."
    )
    index = [NOTICE, "# What the published study claimed", introduction, "| | claims |\n| --- | --- |\n" + "\n".join(rows)]
    return written | {"README.md": "\n\n".join(index) + "\n"}


def _page(title: str, text: str, ledger: Ledger, group: str) -> str:
    claims = [_entry(claim) for claim in ledger.claims if claim.group == group]
    return "\n\n".join([NOTICE, f"# {title}", text, *claims]) + "\n"


def _entry(claim: Claim) -> str:
    rows = {
        "stated": f"{claim.stated} ({claim.where})",
        "measured by": claim.quantity,
        "true if": true_where_words(claim),
        "refuted by": claim.refuted_by,
        "judged on": OF_MODEL[claim.about],
        "setting that it needs": claim.target,
        "what would settle it": claim.would_settle,
    }
    lines = "\n".join(f"| {key} | {value.replace('|', chr(92) + '|')} |" for key, value in rows.items() if value)
    return f"## {claim.statement}\n\n| | |\n| --- | --- |\n{lines}"


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=PAGES, help="where the pages go (default: docs/claims)")
    args = parser.parse_args()

    args.folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages(load_claims(CLAIMS)).items():
        with atomic(args.folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
