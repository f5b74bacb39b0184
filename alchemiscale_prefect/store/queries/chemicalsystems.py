"""ChemicalSystems in the database. What they have in common with Transformations is in `members`."""

from sqlalchemy import Connection, text

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.store.queries.objects import IN_SCOPE


def of_transformation(connection: Connection, transformation: ScopedKey) -> list[str]:
    """Keys of stateA and stateB, in this order; one for a NonTransformation."""
    statement = text(
        f"""
        select a.key as state_a, b.key as state_b, tf.non_transformation
        from gufe_object o
        join transformation tf on tf.id = o.id
        join gufe_object a on a.id = tf.state_a_id
        join gufe_object b on b.id = tf.state_b_id
        where {IN_SCOPE}
        """  # noqa: S608  the interpolated text is a constant
    )
    row = connection.execute(statement, transformation.to_dict()).one_or_none()
    if row is None:
        return []
    return [row.state_a] if row.non_transformation else [row.state_a, row.state_b]
