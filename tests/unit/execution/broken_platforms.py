"""What `alchemiscale_prefect.protocols.platforms` prints where no platform for GPUs works."""

import sys

if __name__ == "__main__":
    sys.exit("; ".join(f"{name}: Error creating context" for name in sys.argv[1:]))
