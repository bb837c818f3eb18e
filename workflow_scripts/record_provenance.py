"""Record where results come from: configuration, versions, hardware, revision, digests."""

import argparse
from pathlib import Path

import yaml

from earwitness.core.arguments import json_object
from earwitness.core.errors import one_line_errors
from earwitness.core.files import atomic, sha256_of, write_json
from earwitness.core.redaction import without_secrets
from earwitness.provenance.run import DIGESTS, describe_run, digest_table
from earwitness.tables.files import write_table


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lock", type=Path, help="the environment's lock")
    parser.add_argument("files", type=Path, nargs="*", help="files to take digests of")
    parser.add_argument("--resolved-config", type=json_object, required=True, help="the whole configuration (JSON)")
    parser.add_argument("--config", type=Path, required=True, help="where the configuration goes, without secrets (YAML)")
    parser.add_argument("--run", type=Path, required=True, help="where versions, hardware and revision go (JSON)")
    parser.add_argument("--digests", type=Path, required=True, help="where the digests go (CSV)")
    args = parser.parse_args()

    run = describe_run(args.lock)
    digests = digest_table([args.lock, *args.files], Path.cwd())
    write_table(args.digests, digests, DIGESTS)
    with atomic(args.config) as temporary:
        text = yaml.safe_dump(without_secrets(args.resolved_config), allow_unicode=True, sort_keys=False)
        temporary.write_text(text, encoding="utf-8")
    write_json(args.run, run | {"digests": {"files": len(digests), "sha256": sha256_of(args.digests)}})


if __name__ == "__main__":
    main()
