"""Postgres and the object store; the only room that imports SQLAlchemy, psycopg and obstore."""
