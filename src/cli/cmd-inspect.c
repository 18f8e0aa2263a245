/* cmd-inspect.c - the command inspect: one object of a repository, taken apart. */
#include "base/fd.h"
#include "cli/commands.h"
#include "cli/inspect-content.h"
#include "cli/location.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define IDENTITY   "backstay.json"
#define MAX_OBJECT ((size_t)5 << 30)

typedef struct Inspect {
    const BkArgs *args;
    BkOp *op;
    BkConfig *config;
    BkBuf object;
    char *name; /* in its repository, or NULL */
    char *root; /* of the repository that the file is in, or NULL */
    BkKeyFile key;
    BkRepository *repository; /* NULL: without the key */
} Inspect;

static void
inspect_clear(Inspect *self)
{
    bk_repository_free(self->repository);
    bk_key_file_clear(&self->key);
    g_free(self->name);
    g_free(self->root);
    bk_buf_clear(&self->object);
    bk_config_free(self->config);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Inspect, inspect_clear)

/* The nearest directory above the file that is a repository's, and the object's name in it. */
static void
find_root(Inspect *self, const char *path)
{
    g_autofree char *full = g_canonicalize_filename(path, NULL);
    g_autofree char *directory = g_path_get_dirname(full);

    while (self->root == NULL && strcmp(directory, "/") != 0) {
        g_autofree char *identity = g_build_filename(directory, IDENTITY, NULL);
        char *parent = g_path_get_dirname(directory);

        if (g_file_test(identity, G_FILE_TEST_IS_REGULAR)) {
            self->root = g_strdup(directory);
            self->name = g_strdup(full + strlen(directory) + 1);
        }
        g_free(directory);
        directory = parent;
    }
}

static bool
open_by_config(Inspect *self, const char *repository, const char *config_path, GError **error)
{
    const BkConfigRepository *item;

    if (bk_args_has(self->args, "key-file"))
        return bk_throw(error, BK_ERROR_USAGE,
                        "--key-file is for a file in a repository's directory, the configuration "
                        "names that of --repository");
    self->config = bk_config_load(config_path, error);
    if (self->config == NULL)
        return false;
    self->repository = bk_cli_repository_open(self->config, repository, self->op, error);
    if (self->repository == NULL)
        return false;
    item = bk_config_find_repository(self->config, repository);
    return bk_key_file_read(item->key_file, &self->key, error);
}

static bool
open_by_key_file(Inspect *self, const char *path, GError **error)
{
    const BkLocation location = {.path = self->root};

    if (self->root == NULL)
        return bk_throw(error, BK_ERROR_USAGE,
                        "\"%s\" is in no directory of a repository: --repository names the one "
                        "that it was copied out of, and --as its name there",
                        path);
    if (!bk_key_file_read(bk_args_get_string(self->args, "key-file"), &self->key, error))
        return false;
    self->repository =
        bk_repository_open_at(&location, self->root, &self->key, NULL, self->op, error);
    return self->repository != NULL;
}

static bool
read_object(Inspect *self, const char *config_path, GError **error)
{
    const char *path = bk_args_get_string(self->args, "object");
    const char *repository = bk_args_get_string(self->args, "repository");
    const char *as = bk_args_get_string(self->args, "as");

    if (repository != NULL && !open_by_config(self, repository, config_path, error))
        return false;
    if (repository != NULL && as == NULL) {
        self->name = g_strdup(path);
        return bk_store_get(bk_repository_store(self->repository), path, 0, MAX_OBJECT, MAX_OBJECT,
                            &self->object, self->op, error) ||
               bk_prefix(error, "object \"%s\" of repository \"%s\"", path, repository);
    }
    if (!bk_file_read(AT_FDCWD, path, MAX_OBJECT, &self->object, error))
        return bk_prefix(error, "\"%s\"", path);
    find_root(self, path);
    if (as != NULL) {
        g_free(self->name);
        self->name = g_strdup(as);
    }
    return repository != NULL || !bk_args_has(self->args, "key-file") ||
           open_by_key_file(self, path, error);
}

static void
add_header(BkJson *json, const BkInspection *inspection)
{
    const char *kind = bk_seal_kind_name(inspection->kind);

    bk_json_begin_object(json, "header");
    bk_json_add_uint(json, "version", inspection->version);
    bk_json_add_uint(json, "kind", inspection->kind);
    bk_json_add_string(json, "kind_name", kind);
    bk_json_add_uint(json, "generation", inspection->generation);
    bk_json_add_hex(json, "salt", inspection->salt, sizeof inspection->salt);
    bk_json_add_hex(json, "commitment", inspection->commitment, sizeof inspection->commitment);
    bk_json_end_object(json);
}

static void
add_frame(BkJson *json, const BkInspection *inspection, const BkInspectFrame *frame)
{
    static const char *const codecs[] = {"none", "zstd", "lz4"};

    bk_json_begin_object(json, NULL);
    bk_json_add_uint(json, "offset", frame->offset);
    bk_json_add_uint(json, "bytes", frame->size);
    bk_json_add_bool(json, "last", frame->is_last);
    if (inspection->is_open)
        bk_json_add_bool(json, "intact", frame->is_open);
    if (frame->is_open) {
        bk_json_add_string(json, "codec",
                           frame->codec < G_N_ELEMENTS(codecs) ? codecs[frame->codec] : NULL);
        bk_json_add_uint(json, "raw_bytes", frame->raw_size);
    }
    bk_json_end_object(json);
}

static void
add_frames(BkJson *json, const BkInspection *inspection, bool all)
{
    uint64_t raw_size = 0;

    for (guint i = 0; i < inspection->frames->len; i++)
        raw_size += g_array_index(inspection->frames, BkInspectFrame, i).raw_size;
    bk_json_add_uint(json, "frames", inspection->frames->len);
    if (inspection->is_open)
        bk_json_add_uint(json, "raw_bytes", raw_size);
    if (!all)
        return;
    bk_json_begin_array(json, "frame_table");
    for (guint i = 0; i < inspection->frames->len; i++)
        add_frame(json, inspection, &g_array_index(inspection->frames, BkInspectFrame, i));
    bk_json_end_array(json);
}

static void
add_problems(BkJson *json, const BkInspection *inspection)
{
    bk_json_begin_array(json, "problems");
    for (guint i = 0; i < inspection->problems->len; i++) {
        const BkInspectProblem *problem = g_ptr_array_index(inspection->problems, i);

        bk_json_begin_object(json, NULL);
        bk_json_add_uint(json, "offset", problem->offset);
        bk_json_add_uint(json, "bytes", problem->size);
        bk_json_add_string(json, "problem", problem->text);
        bk_json_end_object(json);
    }
    bk_json_end_array(json);
}

/* A pack's name is the SHA-256 of all its bytes. */
static void
check_pack_name(BkInspection *inspection, const char *name)
{
    g_autoptr(GError) cause = NULL;
    char digest[2 * BK_SHA256_SIZE + 1];

    bk_sha256_format(inspection->whole_digest, digest);
    if (inspection->kind == BK_SEAL_PACK && name != NULL && inspection->problems->len == 0 &&
        !g_str_has_suffix(name, digest) &&
        !bk_throw(&cause, BK_ERROR_CORRUPT, "pack has the SHA-256 %s, not that of its name",
                  digest))
        bk_inspection_add_problem(inspection, 0, inspection->size, &cause);
}

static bool
judge(const BkInspection *inspection, const char *what, GError **error)
{
    const BkInspectProblem *problem;

    if (inspection->problems->len == 0)
        return true;
    problem = g_ptr_array_index(inspection->problems, 0);
    return bk_throw(
        error, BK_ERROR_CORRUPT,
        "\"%s\": %u %s, the first in %" G_GUINT64_FORMAT " bytes from %" G_GUINT64_FORMAT ": %s",
        what, inspection->problems->len, inspection->problems->len == 1 ? "problem" : "problems",
        problem->size, problem->offset, problem->text);
}

/* Everything but backstay.json. */
static bool
inspect_sealed(Inspect *self, GError **error)
{
    const char *what = bk_args_get_string(self->args, "object");
    const bool all = bk_args_get_flag(self->args, "all");
    g_autoptr(BkJson) json = bk_json_new();
    g_auto(BkInspectKeys) keys = {.slot = NULL};
    g_auto(BkInspection) inspection = {.size = 0};

    if (self->repository != NULL && self->name == NULL)
        return bk_throw(error, BK_ERROR_USAGE,
                        "--as is missing: the key opens an object under its name alone");
    if (self->repository != NULL &&
        !bk_inspect_keys_find(&keys, self->repository, &self->key, self->name, self->op, error))
        return false;
    bk_inspection_init(&inspection, &self->object);
    if (self->repository != NULL)
        bk_inspection_open(&inspection, &self->object, &keys.as);
    check_pack_name(&inspection, self->name);
    bk_json_begin_object(json, NULL);
    bk_json_add_string(json, "object", self->name != NULL ? self->name : what);
    bk_json_add_uint(json, "bytes", inspection.size);
    if (inspection.has_header) {
        add_header(json, &inspection);
        add_frames(json, &inspection, all);
        bk_json_add_hex(json, "sha256", inspection.digest, sizeof inspection.digest);
        bk_json_add_bool(json, "sha256_is_right", inspection.is_digest_right);
    }
    bk_json_add_bool(json, "opened", inspection.is_open);
    if (inspection.is_open)
        bk_inspect_content_add(json, &inspection, all);
    add_problems(json, &inspection);
    bk_json_end_object(json);
    (void)fputs(bk_json_text(json), stdout);
    return judge(&inspection, what, error);
}

/* The only object in clear text. */
static bool
inspect_identity(const Inspect *self, GError **error)
{
    const char *what = bk_args_get_string(self->args, "object");
    g_autoptr(BkJson) json = bk_json_new();
    char id[BK_INSPECT_ID_SIZE + 1];

    if (!bk_inspect_identity(&self->object, id, error))
        return bk_prefix(error, "\"%s\"", what);
    bk_json_begin_object(json, NULL);
    bk_json_add_string(json, "object", self->name);
    bk_json_add_uint(json, "bytes", self->object.size);
    bk_json_add_uint(json, "backstay_repository", BK_REPOSITORY_FORMAT);
    bk_json_add_string(json, "id", id);
    bk_json_end_object(json);
    (void)fputs(bk_json_text(json), stdout);
    return self->repository == NULL || strcmp(id, bk_repository_id(self->repository)) == 0 ||
           bk_throw(error, BK_ERROR_CORRUPT, "\"%s\" is that of another repository", what);
}

bool
bk_cmd_inspect(const BkArgs *args, BkCliContext *context, GError **error)
{
    g_auto(Inspect) self = {.args = args, .op = context->op};

    if (!read_object(&self, context->config_path, error))
        return false;
    return g_strcmp0(self.name, IDENTITY) == 0 ? inspect_identity(&self, error)
                                               : inspect_sealed(&self, error);
}
