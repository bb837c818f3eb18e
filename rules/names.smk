"""What Snakemake was given by name and knows nothing of, now that every rule is known; no rules."""

from earwitness.plan.named_rules import unknown_names

if workflow.is_main_process:
    of_rules = {"--set-resources": given.overwrite_resources, "--set-threads": given.overwrite_threads}
    rule_names = {rule.name for rule in workflow.rules} | {rule.name.partition("__")[0] for rule in workflow.rules}
    resource_names = {name for rule in workflow.rules for name in rule.resources}
    told = [
        *unknown_names(of_rules, rule_names, "rule"),
        *unknown_names({"--resources": given.resources}, resource_names, "resource"),
    ]
    for line in told:
        print(line, file=sys.stderr)
