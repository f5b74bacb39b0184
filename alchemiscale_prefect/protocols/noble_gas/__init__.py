"""Free energies of noble gases and methane dissolved in a Lennard-Jones liquid."""
