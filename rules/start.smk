"""What must hold before the configuration is read; no rules."""

import os
import sys
from pathlib import Path

SCRIPTS = Path("workflow_scripts")
sys.path.insert(0, str(Path(workflow.basedir) / SCRIPTS))

from earwitness.config import layered
from earwitness.core.errors import InputError, one_line
from earwitness.runtime.arithmetic import pin_arithmetic

pin_arithmetic()

# With --resources gpu=0 no job sees a GPU; a rule that asks for one gets none, and would take what it finds.
if dict(workflow.resource_settings.resources).get("gpu") == 0:
    os.environ.update(CUDA_VISIBLE_DEVICES="")

try:
    if not Path().samefile(workflow.basedir):
        raise InputError(
            f"{Path().resolve()}: Earwitness runs in its own folder and takes neither --directory nor a Snakefile from elsewhere;"
            f" run `cd {Path(workflow.basedir).resolve()}` first"
        )
    for folder in (".", ".snakemake", "data", "results"):
        if Path(folder).is_dir() and not os.access(folder, os.W_OK):
            raise InputError(
                f"{Path(folder).resolve()}: cannot be written to; work in a folder that can be, or change its permissions"
            )
    # --replace-workflow-config leaves the default out.
    files = dict.fromkeys(
        [
            *["config/config.yaml"] * (not workflow.config_settings.replace_workflow_config),
            *workflow.overwrite_configfiles,
        ]
    )
    given_config = layered(map(Path, files), workflow.config_settings.config)
except InputError as error:
    sys.exit(f"error: {one_line(error)}")
