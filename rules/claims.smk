"""Claims: what the published study said, and what this run says of it.

in   config/claims.yaml, results/tables/
out  results/tables/claims.csv    earwitness.tables.claims.CLAIMS
"""


rule judge_claims:
    """Every claim of the published study with what measures it here, its interval, and the verdict that follows."""
    input:
        claims="config/claims.yaml",
        tables=list(plan.claim_tables.values()),
    output:
        verdicts=report(
            "results/tables/claims.csv",
            caption="captions/claims_table.rst",
            category="Claims",
            subcategory="Tables",
            labels={"shows": "Claims of the published study"},
        ),
    log:
        "results/logs/judge_claims.log",
    benchmark:
        "results/benchmarks/judge_claims.tsv"
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("judge_claims.py"),
        names=list(plan.claim_tables),
        model=PRIMARY,
        repository=models.name(PRIMARY)[0],
        confidence=config["statistics"]["confidence"],
    message:
        "Judging the claims of the published study"
    shell:
        "python workflow_scripts/judge_claims.py {input.claims:q} {output.verdicts:q}"
        " --tables {input.tables:q}"
        " --names {params.names:q}"
        " --model {params.model}"
        " --repository {params.repository:q}"
        " --confidence {params.confidence}"
        " &> {log:q}"
