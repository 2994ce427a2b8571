"""A deployment's settings: one TOML file, the environment over it, secrets from files.

    loaded = load(Path("spaces.toml"), os.environ)
    settings = loaded.settings        # raises SettingsError, which lists every problem, when there is one

`model` says what there is, `load` reads it, `checks` knows what belongs together, `example` prints a commented file.
"""

from spaces_ctl.settings.load import Loaded, Problem, SettingsError, load
from spaces_ctl.settings.model import Settings

__all__ = ["Loaded", "Problem", "Settings", "SettingsError", "load"]
