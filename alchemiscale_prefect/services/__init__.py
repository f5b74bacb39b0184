"""One function for each thing the system does; it authorises, and acts in one transaction."""
