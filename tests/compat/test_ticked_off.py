"""alchemiscale's own tests of its client, by name: each behaviour has a test of ours of the same name.

The names are those of its ``tests/integration/interface/client/test_client.py``, all 88 of them. Those of the groups A
to D say what a user sees, those of E look inside; what is ours is written against our client, and the same behaviours
are asked of our server with alchemiscale's released client in `test_released_client` and `test_released_client_runs`.
"""

import ast
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1]
FOLDERS = (TESTS / "compat", TESTS / "integration" / "sdk", TESTS / "unit" / "sdk")

CLIENT_ONLY = """
    test_client_params_from_env test_client_params_precedence test_client_params_warning test_client_params_hidden_key
    test_cache_disable test_cache_size_limit_negative test_cache_dir_not_path_str_none test_cache_dir_none
"""

BLACK_BOX = """
    test_wrong_credential test_list_scopes test_create_network test_check_exists test_set_network_state_no_network
    test_set_network_state_invalid_state test_get_network_state_no_network test_query_networks
    test_query_transformations test_query_chemicalsystems test_get_network_transformations
    test_get_transformation_networks test_get_network_chemicalsystems test_get_chemicalsystem_networks
    test_get_transformation_chemicalsystems test_get_chemicalsystem_transformations test_get_network
    test_get_network_bad_network_key test_set_network_weight test_get_transformation
    test_get_transformation_bad_transformation_key test_get_chemicalsystem
    test_get_chemicalsystem_bad_chemicalsystem_key test_create_tasks_extends_qualname_not_task test_query_tasks
    test_get_network_tasks test_get_network_tasks_invalid_status_enum test_get_task_networks
    test_get_transformation_tasks test_get_task_transformation test_get_task_transformation_transformation_no_exists
    test_get_scope_status_network_state test_get_network_status test_get_networks_status
    test_get_network_actioned_tasks test_get_network_actioned_tasks_network_scopedkey_wrong_qualname
    test_get_networks_actioned_tasks test_get_task_actioned_networks
    test_action_tasks_network_scopedkey_wrong_qualname test_cancel_tasks_wrong_qualname test_get_tasks_status
    test_get_tasks_priority test_set_tasks_priority test_set_tasks_priority_missing_tasks
    test_get_network_archives_validation test_get_task_restart_patterns test_remove_task_restart_patterns
    test_set_task_restart_patterns_allowed_restarts test_set_network_strategy test_get_network_strategy_state
"""

WITH_A_GETTER = """
    test_set_network_state test_set_networks_state test_get_network_state test_get_networks_state
    test_get_network_weight test_get_networks_weight test_set_networks_weight test_create_tasks
    test_create_transformations_tasks test_get_scope_status test_get_transformation_status test_action_tasks
    test_action_tasks_with_weights test_action_tasks_update_weights test_cancel_tasks test_set_tasks_status
    test_add_task_restart_patterns test_clear_task_restart_patterns test_set_network_strategy_awake
"""

EXECUTED = """
    test_get_transformation_and_network_results test_get_transformation_and_network_failures test_get_task_results
    test_get_task_failures test_get_network_archives
"""

INSIDE = """
    test_refresh_credential test_api_check test_cached_network test_cached_transformation test_cached_chemicalsystem
    test_cached_pdr
"""

GROUPS = {"A": CLIENT_ONLY, "B": BLACK_BOX, "C": WITH_A_GETTER, "D": EXECUTED, "E": INSIDE}


def ours() -> Counter[str]:
    """The test functions of the client, by name."""
    trees = [ast.parse(path.read_text()) for folder in FOLDERS for path in sorted(folder.glob("test_*.py"))]
    return Counter(
        node.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def test_the_list_is_whole() -> None:
    sizes = {group: len(names.split()) for group, names in GROUPS.items()}
    assert sizes == {"A": 8, "B": 50, "C": 19, "D": 5, "E": 6}
    assert max(Counter(name for names in GROUPS.values() for name in names.split()).values()) == 1


def test_every_behaviour_has_a_test_of_its_name() -> None:
    there = ours()
    assert [name for names in GROUPS.values() for name in names.split() if name not in there] == []
