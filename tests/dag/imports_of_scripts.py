"""For each script named on the command line, print as JSON the project's modules that importing it loads, and its --help.

Runs outside the tests' process; each script starts with none of the project's modules loaded.
"""

import contextlib
import importlib
import io
import json
import sys
from pathlib import Path

folder = Path(sys.argv[1]).resolve()
sys.path.insert(0, str(folder))
found = {}
for script in sys.argv[2:]:
    for name in [name for name, module in sys.modules.items() if str(getattr(module, "__file__", None)).startswith(str(folder))]:
        del sys.modules[name]
    module = importlib.import_module(script)
    loaded = [Path(other.__file__) for other in list(sys.modules.values()) if str(getattr(other, "__file__", None)).startswith(str(folder))]
    sys.argv = [script, "--help"]
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        module.main()
    found[script] = {"modules": sorted(str(path.relative_to(folder.parent)) for path in loaded), "help": text.getvalue()}
print(json.dumps(found))
