"""gufe 0.4 brought to gufe >= 1.12 semantics. The only place that knows of 0.4: deleting it deletes 0.4.

PyPI has gufe 0.4 alone, so laptops and CI run on it. Two kinds of things stand here:

- :mod:`.settings`, :mod:`.protocols` and :mod:`.archival`: classes that 0.4 lacks or has otherwise. They subclass
  0.4's, so they are gufe objects in every respect; :mod:`alchemiscale_prefect.chemistry.base` exports them;
- :mod:`.patches` (with :mod:`.codecs`): changes to 0.4's own classes, made when this package is imported.

Not bridged, because 0.4 has nothing to build on: LigandAtomMapping, LigandNetwork,
``Transformation.metadata``, serialization migrations and pickling.
"""

from alchemiscale_prefect.chemistry.gufe04.archival import AlchemicalArchive
from alchemiscale_prefect.chemistry.gufe04.patches import apply, content_token
from alchemiscale_prefect.chemistry.gufe04.protocols import (
    Context,
    ExecutionInterrupt,
    Protocol,
    ProtocolDAG,
    ProtocolDAGResult,
    ProtocolResult,
    ProtocolUnit,
    ProtocolUnitFailure,
    ProtocolUnitResult,
)
from alchemiscale_prefect.chemistry.gufe04.settings import (
    AngstromQuantity,
    BarQuantity,
    BaseForceFieldSettings,
    GufeQuantity,
    KCalPerMolQuantity,
    KelvinQuantity,
    NanometerQuantity,
    NanosecondQuantity,
    PicosecondQuantity,
    Settings,
    SettingsBaseModel,
    ThermoSettings,
    specify_quantity_units,
)

apply()

__all__ = [
    "AlchemicalArchive",
    "AngstromQuantity",
    "BarQuantity",
    "BaseForceFieldSettings",
    "Context",
    "ExecutionInterrupt",
    "GufeQuantity",
    "KCalPerMolQuantity",
    "KelvinQuantity",
    "NanometerQuantity",
    "NanosecondQuantity",
    "PicosecondQuantity",
    "Protocol",
    "ProtocolDAG",
    "ProtocolDAGResult",
    "ProtocolResult",
    "ProtocolUnit",
    "ProtocolUnitFailure",
    "ProtocolUnitResult",
    "Settings",
    "SettingsBaseModel",
    "ThermoSettings",
    "content_token",
    "specify_quantity_units",
]
