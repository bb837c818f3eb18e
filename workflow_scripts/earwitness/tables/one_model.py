"""Result tables as a study of one model alone has them."""

import pandas as pd

from earwitness.systems import System

_NAMING_SYSTEMS = ("system_id", "system_a", "system_b", "members")


def of_model(table: pd.DataFrame, model: str) -> pd.DataFrame:
    """The rows of one model's systems and of detectors, with the texts of systems of the unnamed model.

    table: of a schema that names systems in system_id, system_a, system_b or members; one that names none stays as it is. Rows that set another
    model beside this one are left out.
    """
    for name in _NAMING_SYSTEMS:
        if name in table:
            systems = {text: System.parse(text) for text in set(table[name])}
            own = {text: str(system.alone()) for text, system in systems.items() if system.model in (model, "")}
            table = table[table[name].isin(own)]
            table = table.assign(**{name: [own[text] for text in table[name]]})
    return table.reset_index(drop=True)
