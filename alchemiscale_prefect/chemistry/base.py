"""What Protocol authors subclass and what scripts build networks from, under one path on both gufe lines.

Written to gufe >= 1.12: there every name below *is* gufe's own. On gufe 0.4 (PyPI; laptops and CI) the classes
that 0.4 lacks or has otherwise come from :mod:`alchemiscale_prefect.chemistry.gufe04`, with the same signatures.

A Quantity field of a settings class is typed with one of the ``...Quantity`` types, or with
``Annotated[GufeQuantity, specify_quantity_units("kilojoule_per_mole")]``; such a field takes a Quantity or a
string such as ``"300 kelvin"``, and holds it in the unit named.
"""

from typing import TYPE_CHECKING

from gufe import (
    AlchemicalNetwork,
    ChemicalSystem,
    Component,
    ComponentMapping,
    NonTransformation,
    ProteinComponent,
    SmallMoleculeComponent,
    SolventComponent,
    Transformation,
)
from gufe.tokenization import GufeKey, GufeTokenizable
from openff.units import Quantity, unit

from alchemiscale_prefect.chemistry.versions import GUFE_LINE

# The type checker reads the adapter's classes: gufe itself ships no types.
if TYPE_CHECKING or GUFE_LINE == "0":
    from alchemiscale_prefect.chemistry.gufe04 import (
        AlchemicalArchive,
        AngstromQuantity,
        BarQuantity,
        BaseForceFieldSettings,
        Context,
        ExecutionInterrupt,
        GufeQuantity,
        KCalPerMolQuantity,
        KelvinQuantity,
        NanometerQuantity,
        NanosecondQuantity,
        PicosecondQuantity,
        Protocol,
        ProtocolDAG,
        ProtocolDAGResult,
        ProtocolResult,
        ProtocolUnit,
        ProtocolUnitFailure,
        ProtocolUnitResult,
        Settings,
        SettingsBaseModel,
        ThermoSettings,
        specify_quantity_units,
    )
else:
    from gufe.archival import AlchemicalArchive
    from gufe.protocols import (
        Context,
        Protocol,
        ProtocolDAG,
        ProtocolDAGResult,
        ProtocolResult,
        ProtocolUnit,
        ProtocolUnitFailure,
        ProtocolUnitResult,
    )
    from gufe.protocols.errors import ExecutionInterrupt
    from gufe.settings import BaseForceFieldSettings, Settings, SettingsBaseModel, ThermoSettings
    from gufe.settings.typing import (
        AngstromQuantity,
        BarQuantity,
        GufeQuantity,
        KCalPerMolQuantity,
        KelvinQuantity,
        NanometerQuantity,
        NanosecondQuantity,
        PicosecondQuantity,
        specify_quantity_units,
    )

__all__ = [
    "AlchemicalArchive",
    "AlchemicalNetwork",
    "AngstromQuantity",
    "BarQuantity",
    "BaseForceFieldSettings",
    "ChemicalSystem",
    "Component",
    "ComponentMapping",
    "Context",
    "ExecutionInterrupt",
    "GufeKey",
    "GufeQuantity",
    "GufeTokenizable",
    "KCalPerMolQuantity",
    "KelvinQuantity",
    "NanometerQuantity",
    "NanosecondQuantity",
    "NonTransformation",
    "PicosecondQuantity",
    "ProteinComponent",
    "Protocol",
    "ProtocolDAG",
    "ProtocolDAGResult",
    "ProtocolResult",
    "ProtocolUnit",
    "ProtocolUnitFailure",
    "ProtocolUnitResult",
    "Quantity",
    "Settings",
    "SettingsBaseModel",
    "SmallMoleculeComponent",
    "SolventComponent",
    "ThermoSettings",
    "Transformation",
    "specify_quantity_units",
    "unit",
]
