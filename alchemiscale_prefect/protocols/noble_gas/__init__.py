"""Free energies of noble gases and methane dissolved in a Lennard-Jones liquid."""

from alchemiscale_prefect.protocols.noble_gas.protocol import NobleGasProtocol, NobleGasProtocolResult
from alchemiscale_prefect.protocols.noble_gas.settings import NobleGasSettings
from alchemiscale_prefect.protocols.noble_gas.systems import noble_gas_system

__all__ = ["NobleGasProtocol", "NobleGasProtocolResult", "NobleGasSettings", "noble_gas_system"]
