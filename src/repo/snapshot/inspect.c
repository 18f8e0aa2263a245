/* inspect.c - takes a sealed object apart: every frame, the trailer, and what is wrong where. */
#include "repo/snapshot/inspect.h"

#include "codec/wire.h"
#include "repo/repository-priv.h"
#include "repo/seal-priv.h"
#include "repo/snapshot/snapshot-sections.h"

#include <string.h>

static void
free_inspected_problem(void *data)
{
    BkInspectProblem *problem = data;

    g_free(problem->text);
    g_free(problem);
}

void
bk_inspection_add_problem(BkInspection *self, uint64_t offset, uint64_t size, GError **cause)
{
    BkInspectProblem *problem = g_new0(BkInspectProblem, 1);

    *problem = (BkInspectProblem){offset, size, g_strdup((*cause)->message)};
    g_ptr_array_add(self->problems, problem);
    g_clear_error(cause);
}

static void
add_stretch_text(BkInspection *self, uint64_t offset, uint64_t size, const char *text)
{
    g_autoptr(GError) cause = NULL;

    (void)bk_throw(&cause, BK_ERROR_CORRUPT, "%s", text);
    bk_inspection_add_problem(self, offset, size, &cause);
}

static void
wipe_and_clear(BkBuf *buf)
{
    if (buf->capacity > 0)
        bk_wipe(buf->data, buf->capacity);
    bk_buf_clear(buf);
}

void
bk_inspection_clear(BkInspection *self)
{
    g_clear_pointer(&self->frames, g_array_unref);
    g_clear_pointer(&self->problems, g_ptr_array_unref);
    g_clear_pointer(&self->sections, g_array_unref);
    g_clear_pointer(&self->snapshot, bk_snapshot_free);
    wipe_and_clear(&self->first);
    wipe_and_clear(&self->last);
}

static void
read_header(BkInspection *self, const BkBuf *object)
{
    g_autoptr(GError) cause = NULL;
    BkSealHeader header = {.version = 0};
    bool ok = bk_seal_header_decode(object->data, object->size, &header, &cause);

    if (header.commitment != NULL && (ok || bk_error_is(cause, BK_ERROR_UNSUPPORTED))) {
        self->has_header = true;
        self->version = header.version;
        self->kind = header.kind;
        self->generation = header.generation;
        memcpy(self->salt, header.salt, sizeof self->salt);
        memcpy(self->commitment, header.commitment, sizeof self->commitment);
    }
    if (!ok)
        bk_inspection_add_problem(self, 0, MIN(object->size, BK_SEAL_HEADER_SIZE), &cause);
}

/* By what the frames themselves say of their sizes, up to one that cannot be so. */
static void
measure_frames(BkInspection *self, const BkBuf *object, size_t end)
{
    size_t next = BK_SEAL_HEADER_SIZE;
    bool is_last = false;

    while (next < end && !is_last) {
        g_autoptr(GError) cause = NULL;
        BkFrame frame = {
            .ordinal = self->frames->len, .data = object->data + next, .size = end - next};
        BkInspectFrame found = {.offset = next};

        if (!bk_frame_measure(&frame, &cause)) {
            bk_inspection_add_problem(self, next, end - next, &cause);
            return;
        }
        found.size = frame.size;
        found.is_last = is_last = frame.is_last;
        g_array_append_val(self->frames, found);
        next += frame.size;
    }
    if (!is_last)
        add_stretch_text(self, next, 0, "object has no last frame");
    else if (next < end)
        add_stretch_text(self, next, end - next, "object goes on after its last frame");
}

static void
check_trailer(BkInspection *self, const BkBuf *object, size_t end)
{
    const uint8_t *digest = object->data + object->size - BK_AEAD_TAG_SIZE - BK_SHA256_SIZE;
    g_autoptr(GError) cause = NULL;
    uint8_t computed[BK_SHA256_SIZE];

    if (!bk_seal_check_sizes(object->data + end, object->size, &cause))
        bk_inspection_add_problem(self, end, BK_SEAL_TRAILER_SIZE, &cause);
    memcpy(self->digest, digest, sizeof self->digest);
    bk_sha256(object->data, (size_t)(digest - object->data), computed);
    self->is_digest_right = memcmp(digest, computed, sizeof computed) == 0;
}

/* That the digest is wrong says only that something is: the first thing said, and the last where
 * nothing else was found. */
static void
check_digest(BkInspection *self)
{
    if (!self->is_digest_right && self->problems->len == 0)
        add_stretch_text(self, 0, self->size,
                         "object does not have the SHA-256 that its trailer has");
}

static void
look_at_envelope(BkInspection *self, const BkBuf *object)
{
    size_t end;

    read_header(self, object);
    if (!self->has_header)
        return;
    if (object->size < BK_SEAL_HEADER_SIZE + BK_SEAL_TRAILER_SIZE) {
        add_stretch_text(self, object->size, 0, "object is cut off");
        return;
    }
    end = object->size - BK_SEAL_TRAILER_SIZE;
    measure_frames(self, object, end);
    check_trailer(self, object, end);
}

void
bk_inspection_init(BkInspection *self, const BkBuf *object)
{
    *self = (BkInspection){
        .size = object->size,
        .frames = g_array_new(FALSE, FALSE, sizeof(BkInspectFrame)),
        .problems = g_ptr_array_new_with_free_func(free_inspected_problem),
        .sections = g_array_new(FALSE, FALSE, sizeof(BkInspectSection)),
    };
    bk_sha256(object->data, object->size, self->whole_digest);
    look_at_envelope(self, object);
    check_digest(self);
}

/* The rows of later sections refer to those of earlier ones: what comes behind one that is damaged
 * is counted, not decoded. */
static void
take_section(BkInspection *self, const BkInspectFrame *frame, const BkBuf *raw, bool is_complete)
{
    g_autoptr(GError) cause = NULL;
    BkWireReader reader;
    BkInspectSection section;
    bool ok;

    bk_wire_reader_init(&reader, raw->data, raw->size);
    section.number = bk_wire_get_u8(&reader);
    section.rows = section.number == BK_SECTION_HEAD || section.number >= BK_SECTION_IGNORABLE
                       ? 0
                       : bk_wire_get_varint(&reader);
    g_array_append_val(self->sections, section);
    if (section.number == BK_SECTION_HEAD)
        ok = bk_snapshot_head_decode(bk_snapshot_head(self->snapshot), raw, &cause);
    else
        ok = !is_complete || bk_snapshot_section_decode(self->snapshot, raw, &cause);
    if (!ok)
        bk_inspection_add_problem(self, frame->offset, frame->size, &cause);
}

static bool
open_inspected_frame(BkInspection *self, BkOpener *opener, const BkBuf *object, guint index,
                     BkBuf *raw)
{
    BkInspectFrame *found = &g_array_index(self->frames, BkInspectFrame, index);
    BkFrame frame = {
        .ordinal = index, .data = object->data + found->offset, .size = (size_t)found->size};
    g_autoptr(GError) cause = NULL;

    if (!bk_opener_frame(opener, &frame, raw, &cause)) {
        bk_inspection_add_problem(self, found->offset, found->size, &cause);
        return false;
    }
    found->is_open = true;
    found->codec = bk_opener_codec(opener);
    found->raw_size = raw->size;
    return true;
}

static void
open_frames(BkInspection *self, BkOpener *opener, const BkBuf *object)
{
    g_auto(BkBuf) raw = BK_BUF_INIT;
    bool is_complete = true;

    for (guint i = 0; i < self->frames->len; i++) {
        const BkInspectFrame *frame = &g_array_index(self->frames, BkInspectFrame, i);

        if (!open_inspected_frame(self, opener, object, i, &raw)) {
            is_complete = false;
            continue;
        }
        if (i == 0)
            bk_buf_append(&self->first, raw.data, raw.size);
        if (frame->is_last)
            bk_buf_append(&self->last, raw.data, raw.size);
        if (self->snapshot != NULL && !frame->is_last)
            take_section(self, frame, &raw, is_complete);
    }
    if (raw.size > 0)
        bk_wipe(raw.data, raw.size); /* it may have been a key */
}

void
bk_inspection_open(BkInspection *self, const BkBuf *object, const BkSealAs *as)
{
    g_autoptr(BkOpener) opener = bk_opener_new();
    g_autoptr(GError) cause = NULL;

    if (!self->has_header)
        return;
    g_ptr_array_set_size(self->problems, 0); /* they are found again, with more that is said */
    g_array_set_size(self->frames, 0);
    if (!bk_opener_begin(opener, as, object->data, object->size, &cause)) {
        look_at_envelope(self, object);
        bk_inspection_add_problem(self, 0, BK_SEAL_HEADER_SIZE, &cause);
        return;
    }
    self->is_open = true;
    if (as->kind == BK_SEAL_SNAPSHOT)
        self->snapshot = bk_snapshot_new();
    look_at_envelope(self, object);
    open_frames(self, opener, object);
    if (object->size >= BK_SEAL_HEADER_SIZE + BK_SEAL_TRAILER_SIZE &&
        !bk_opener_trailer(opener, object->data + object->size - BK_SEAL_TRAILER_SIZE, object->size,
                           &cause))
        bk_inspection_add_problem(self, object->size - BK_SEAL_TRAILER_SIZE, BK_SEAL_TRAILER_SIZE,
                                  &cause);
    check_digest(self);
}

bool
bk_inspect_kind_of(const char *name, BkSealKind *kind)
{
    static const struct {
        const char *directory;
        BkSealKind kind;
    } kinds[] = {
        {"key/", BK_SEAL_SOURCE_KEY},     {"packs/", BK_SEAL_PACK},
        {"snapshots/", BK_SEAL_SNAPSHOT}, {"lease/", BK_SEAL_LEASE},
        {"decisions/", BK_SEAL_DECISION},
    };
    const char *rest = strchr(name, '/');
    unsigned slashes = 0;

    if (rest == NULL)
        return false;
    if (g_str_has_prefix(name, "keys/")) {
        *kind = BK_SEAL_KEY_SLOT;
        return true;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
        if (g_str_has_prefix(rest + 1, kinds[i].directory)) {
            *kind = kinds[i].kind;
            return true;
        }
    if (!g_str_has_prefix(rest + 1, "wal/"))
        return false;
    for (const char *next = rest; *next != 0; next++)
        slashes += *next == '/';
    *kind = slashes >= 5 ? BK_SEAL_WAL_SEGMENT : BK_SEAL_WAL_FILE; /* SOURCE/wal/SYSTEM/TLI/DIR/… */
    return true;
}

void
bk_inspect_keys_clear(BkInspectKeys *self)
{
    bk_keyring_free(self->slot);
    bk_source_repo_free(self->source_repo);
    g_free(self->seal_name);
    *self = (BkInspectKeys){.slot = NULL};
}

static bool
use_slot(BkInspectKeys *self, const BkKeyFile *key, const char *name, GError **error)
{
    if (strcmp(name + strlen("keys/"), key->slot) != 0)
        return bk_throw(error, BK_ERROR_KEY, "it takes the key file of slot %s, this one is of %s",
                        name + strlen("keys/"), key->slot);
    self->slot = bk_keyring_new();
    bk_keyring_add(self->slot, 1, &key->secret);
    self->as.keys = self->slot;
    return true;
}

static bool
use_source_repo(BkInspectKeys *self, BkRepository *repository, const char *name, BkOp *op,
                GError **error)
{
    g_autofree char *source = g_strndup(name, strcspn(name, "/"));

    self->source_repo = bk_source_repo_open(repository, source, op, error);
    if (self->source_repo == NULL)
        return false;
    self->as.keys = bk_source_repo_keys(self->source_repo);
    if (self->as.kind == BK_SEAL_PACK) {
        g_free(self->seal_name);
        self->seal_name = bk_source_repo_object_name(self->source_repo, BK_PACK_DIRECTORY);
    }
    return true;
}

bool
bk_inspect_keys_find(BkInspectKeys *self, BkRepository *repository, const BkKeyFile *key,
                     const char *name, BkOp *op, GError **error)
{
    *self = (BkInspectKeys){.seal_name = g_strdup(name)};
    if (!bk_inspect_kind_of(name, &self->as.kind))
        return bk_throw(error, BK_ERROR_USAGE, "\"%s\" is no name of a sealed object", name);
    if (self->as.kind == BK_SEAL_KEY_SLOT) {
        if (!use_slot(self, key, name, error))
            return false;
    } else if (self->as.kind == BK_SEAL_SOURCE_KEY) {
        self->as.keys = bk_repository_keys(repository);
    } else if (!use_source_repo(self, repository, name, op, error)) {
        return false;
    }
    self->as.name = self->seal_name;
    return true;
}

bool
bk_inspect_identity(const BkBuf *object, char id[BK_INSPECT_ID_SIZE + 1], GError **error)
{
    g_autofree char *text =
        g_strndup(object->size > 0 ? (const char *)object->data : "", object->size);
    const char *found = strstr(text, "\"id\":\"");
    g_autofree char *expected = NULL;

    (void)g_strlcpy(id, found != NULL ? found + strlen("\"id\":\"") : "", BK_INSPECT_ID_SIZE + 1);
    expected =
        g_strdup_printf("{\"backstay_repository\":%d,\"id\":\"%s\"}\n", BK_REPOSITORY_FORMAT, id);
    return (strcmp(text, expected) == 0 && strlen(expected) == object->size &&
            strspn(id, "0123456789abcdef") == BK_INSPECT_ID_SIZE) ||
           bk_throw(error, BK_ERROR_CORRUPT, "it is not what Backstay writes");
}
