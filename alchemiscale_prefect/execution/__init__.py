"""What happens inside a compute flow run. It knows neither Prefect nor a database."""
