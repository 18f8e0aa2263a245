/* cmd-init.c - the command "init": creates repositories and key files. */
#include "cli/each.h"
#include "cli/location.h"
#include "cli/nesting.h"

#include <stdio.h>

/* The key file is there, durably, before the repository that needs it. A repository that is there
 * already has its key, and no new one would open it. */
static bool
ready_key(const BkConfigRepository *config, const BkLocation *place, BkKeyFile *key, BkOp *op,
          GError **error)
{
    g_autoptr(GError) cause = NULL;
    bool found;

    if (!bk_repository_is_at(place, &found, op, error))
        return false;
    if (found)
        return bk_key_file_read(config->key_file, key, error);
    if (bk_key_file_create(config->key_file, key, &cause))
        return true;
    if (!bk_error_is(cause, BK_ERROR_EXISTS)) {
        g_propagate_prefixed_error(error, g_steal_pointer(&cause), "key file: ");
        return false;
    }
    return bk_key_file_read(config->key_file, key, error);
}

static bool
init_repository(const void *item, BkJson *json, void *data, BkOp *op, GError **error)
{
    const BkConfigRepository *config = item;
    g_auto(BkKeyFile) key = {0};
    g_autoptr(BkRepository) repository = NULL;
    g_autoptr(GError) cause = NULL;
    g_autofree char *location = bk_cli_location_describe(config);
    bool created;

    (void)data;
    if (!bk_cli_nesting_check(config, &config->location, op, error) ||
        !ready_key(config, &config->location, &key, op, error))
        return false;
    repository =
        bk_repository_create_at(&config->location, config->name, &key, &created, op, &cause);
    if (bk_error_is(cause, BK_ERROR_KEY))
        (void)bk_prefix(&cause, "key file \"%s\"", config->key_file);
    if (repository == NULL)
        return bk_propagate(error, &cause);
    if (json != NULL) {
        bk_json_begin_object(json, NULL);
        bk_json_add_string(json, "name", config->name);
        bk_json_add_string(json, "location", location);
        bk_json_add_string(json, "id", bk_repository_id(repository));
        bk_json_add_bool(json, "created", created);
        bk_json_add_string(json, "key_file", config->key_file);
        bk_json_end_object(json);
    } else if (created) {
        (void)printf(
            "Repository \"%s\" is ready in %s.\n"
            "  Its key file is %s: copy it to a safe place away from this machine now, such as a\n"
            "  password manager. With the key and the repository everything can be restored on an\n"
            "  empty machine; without the key nobody can restore anything.\n",
            config->name, location, config->key_file);
    } else {
        (void)printf("Repository \"%s\" in %s is already initialized.\n", config->name, location);
    }
    return true;
}

bool
bk_cmd_init(const BkArgs *args, BkCliContext *context, GError **error)
{
    return bk_cli_each_repository(&(BkCliEach){.visit = init_repository}, args, context, error);
}
