/* archive.c - the WAL archive of a source: segments and the small files beside them. */
#include "source/pg/archive/archive.h"

#include "base/boot.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path-owner.h"
#include "codec/extension.h"
#include "repo/frame-reader.h"
#include "repo/reread.h"
#include "source/pg/archive/archive-check.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define HEAD_VERSION  2
#define MAX_NAME      64
#define SYSTEM_DIGITS 16
#define FRAME_SIZE    ((size_t)512 * 1024)
#define HEAD_GUESS    ((size_t)256 * 1024) /* holds every head and nearly every summary */
#define HASH_PIECE    ((size_t)256 * 1024)
/* Holds a segment of the usual 16 MiB whole, however badly it compresses: one request then. */
#define WINDOW ((size_t)20 * 1024 * 1024)

struct BkArchiveWriter {
    BkSealer *sealer;
    BkBuf object;
    BkBuf head;
    BkBuf info;    /* of the segment, encoded; empty for other files */
    BkBuf summary; /* the same */
};

char *
bk_archive_object_name(const BkSourceRepo *source_repo, uint64_t system_id, const char *name,
                       const BkWalName *parsed)
{
    if (parsed->kind == BK_WAL_SEGMENT)
        return bk_source_repo_object_name(source_repo, "wal/%016" PRIX64 "/%08X/%.16s/%s",
                                          system_id, parsed->timeline, name, name);
    return bk_source_repo_object_name(source_repo, "wal/%016" PRIX64 "/%08X/%s", system_id,
                                      parsed->timeline, name);
}

char *
bk_archive_system_directory(const BkSourceRepo *source_repo, uint64_t system_id)
{
    return bk_source_repo_object_name(source_repo, "wal/%016" PRIX64 "/", system_id);
}

char *
bk_archive_timeline_directory(const BkSourceRepo *source_repo, uint64_t system_id,
                              uint32_t timeline)
{
    return bk_source_repo_object_name(source_repo, "wal/%016" PRIX64 "/%08X/", system_id, timeline);
}

bool
bk_archive_parse_system(const BkSourceRepo *source_repo, const char *object_name,
                        uint64_t *system_id)
{
    g_autofree char *prefix = bk_source_repo_object_name(source_repo, "wal/");
    const size_t size = strlen(prefix);
    g_autofree char *digits = NULL;
    g_autofree char *expected = NULL;

    if (!g_str_has_prefix(object_name, prefix) || strlen(object_name) < size + SYSTEM_DIGITS + 1 ||
        object_name[size + SYSTEM_DIGITS] != '/')
        return false;
    digits = g_strndup(object_name + size, SYSTEM_DIGITS);
    if (!g_ascii_string_to_unsigned(digits, 16, 1, G_MAXUINT64, system_id, NULL))
        return false;
    expected = g_strdup_printf("%016" PRIX64, *system_id);
    return strcmp(digits, expected) == 0;
}

BkArchiveWriter *
bk_archive_writer_new(BkCodec codec, int level)
{
    BkArchiveWriter *self = g_new0(BkArchiveWriter, 1);

    self->sealer = bk_sealer_new(codec, level);
    return self;
}

void
bk_archive_writer_free(BkArchiveWriter *self)
{
    if (self == NULL)
        return;
    bk_sealer_free(self->sealer);
    bk_buf_clear(&self->object);
    bk_buf_clear(&self->head);
    bk_buf_clear(&self->info);
    bk_buf_clear(&self->summary);
    g_free(self);
}

char *
bk_archive_identify(const char *path)
{
    g_autofree char *boot = bk_boot_id();
    struct stat st;

    if (boot[0] == 0 || stat(path, &st) < 0)
        return NULL;
    return g_strdup_printf(
        "%s %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 ".%09ld %" PRId64 ".%09ld", boot,
        (uint64_t)st.st_dev, (uint64_t)st.st_ino, (int64_t)st.st_size, (int64_t)st.st_mtim.tv_sec,
        st.st_mtim.tv_nsec, (int64_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
}

static BkSealAs
seal_as(const BkSourceRepo *source_repo, const char *object_name, const BkWalName *parsed)
{
    return (BkSealAs){
        .keys = bk_source_repo_keys(source_repo),
        .kind = parsed->kind == BK_WAL_SEGMENT ? BK_SEAL_WAL_SEGMENT : BK_SEAL_WAL_FILE,
        .name = object_name,
    };
}

static bool
collect_segment_info(const BkWalName *parsed, const BkBuf *content, BkWalInfo *info,
                     BkWalBlocks *blocks, GError **error)
{
    const BkWalScanOptions options = {.expect_timeline = parsed->timeline};

    return bk_wal_blocks_collect(content->data, content->size, &options, info, blocks, error);
}

/* Collects what a segment tells, and encodes it. */
static bool
inspect_archive_file(BkArchiveWriter *self, const BkArchiveFile *file, uint64_t system_id,
                     GError **error)
{
    g_auto(BkWalInfo) info = {0};
    g_auto(BkWalBlocks) blocks = {0};

    self->info.size = self->summary.size = 0;
    if (file->parsed.kind != BK_WAL_SEGMENT)
        return true;
    if (!bk_archive_check_segment(file, system_id, &info, &blocks, error))
        return false;
    bk_wal_info_encode(&info, &self->info);
    bk_wal_blocks_encode(&blocks, &self->summary);
    return true;
}

static void
encode_head(BkArchiveWriter *self, const BkArchiveFile *file, const BkXxh3Secret *secret)
{
    uint8_t hash[BK_XXH3_SIZE];
    uint8_t stamp[BK_XXH3_SIZE];

    bk_xxh3(secret, file->content->data, file->content->size, hash);
    self->head.size = 0;
    bk_wire_put_u8(&self->head, HEAD_VERSION);
    bk_wire_put_string(&self->head, file->name);
    bk_wire_put_varint(&self->head, file->content->size);
    bk_buf_append(&self->head, hash, sizeof hash);
    if (file->identity != NULL)
        bk_xxh3(secret, file->identity, strlen(file->identity), stamp);
    bk_wire_put_bytes(&self->head, stamp, file->identity != NULL ? sizeof stamp : 0);
    bk_wire_put_varint(&self->head, self->summary.size);
    bk_wire_put_bytes(&self->head, self->info.data, self->info.size);
    bk_extensions_put_none(&self->head);
}

/* Frames of at most `step` bytes. */
static bool
seal_frames(BkSealer *sealer, const BkBuf *content, size_t step, bool is_end, GError **error)
{
    size_t done = 0;

    do {
        size_t size = MIN(content->size - done, step);
        const uint8_t *data = size > 0 ? content->data + done : NULL;

        if (!bk_sealer_add(sealer, data, size, is_end && done + size == content->size, error))
            return false;
        done += size;
    } while (done < content->size);
    return true;
}

static bool
seal_file(BkArchiveWriter *self, const BkSourceRepo *source_repo, const BkArchiveFile *file,
          uint64_t system_id, GError **error)
{
    g_autofree char *object_name =
        bk_archive_object_name(source_repo, system_id, file->name, &file->parsed);
    const BkSealAs as = seal_as(source_repo, object_name, &file->parsed);
    const size_t size = file->content->size + self->summary.size;

    return bk_buf_reserve(&self->object, size + size / 16 + HEAD_GUESS, error) &&
           bk_sealer_begin(self->sealer, &as, &self->object, error) &&
           bk_sealer_add(self->sealer, self->head.data, self->head.size, false, error) &&
           (self->summary.size == 0 ||
            seal_frames(self->sealer, &self->summary, BK_SEAL_MAX_RAW, false, error)) &&
           seal_frames(self->sealer, file->content, FRAME_SIZE, true, error) &&
           bk_sealer_finish(self->sealer, NULL, error);
}

typedef struct Head {
    const uint8_t *name;
    size_t name_size; /* at most 64 */
    uint64_t size;
    const uint8_t *hash;
    const uint8_t *stamp;  /* hash of the identity of the file that was archived */
    size_t stamp_size;     /* 0 when it had none */
    uint64_t summary_size; /* of the frames that follow, raw */
    const uint8_t *info;
    size_t info_size;
} Head;

static bool
decode_any_head(const BkBuf *raw, Head *head, GError **error)
{
    BkWireReader reader;

    bk_wire_reader_init(&reader, raw->data, raw->size);
    if (bk_wire_get_u8(&reader) != HEAD_VERSION)
        reader.failed = true;
    head->name = bk_wire_get_bytes(&reader, MAX_NAME, &head->name_size);
    head->size = bk_wire_get_bounded(&reader, BK_ARCHIVE_FILE_MAX);
    head->hash = bk_wire_get_raw(&reader, BK_XXH3_SIZE);
    head->stamp = bk_wire_get_bytes(&reader, BK_XXH3_SIZE, &head->stamp_size);
    head->summary_size = bk_wire_get_bounded(&reader, BK_ARCHIVE_FILE_MAX);
    head->info = bk_wire_get_bytes(&reader, bk_wire_left(&reader), &head->info_size);
    return bk_extensions_end(&reader, "head of a WAL object", error);
}

static bool
decode_head(const BkBuf *raw, const char *name, Head *head, GError **error)
{
    if (!decode_any_head(raw, head, error))
        return false;
    if (head->name_size != strlen(name) || memcmp(head->name, name, head->name_size) != 0)
        return bk_throw(error, BK_ERROR_CORRUPT, "object belongs to \"%.*s\"", (int)head->name_size,
                        (const char *)head->name);
    return true;
}

void
bk_archive_head_clear(BkArchiveHead *self)
{
    bk_wal_info_clear(&self->info);
}

bool
bk_archive_head_decode(const BkBuf *raw, BkArchiveHead *head, GError **error)
{
    Head own;

    *head = (BkArchiveHead){.size = 0};
    if (!decode_any_head(raw, &own, error))
        return false;
    memcpy(head->name, own.name, own.name_size);
    head->size = own.size;
    memcpy(head->hash, own.hash, sizeof head->hash);
    head->summary_size = own.summary_size;
    head->has_info = own.info_size > 0;
    return !head->has_info || bk_wal_info_decode(own.info, own.info_size, &head->info, error);
}

/* How many frames between the head and the file hold the summary. */
static uint64_t
summary_frames(const Head *head)
{
    return (head->summary_size + BK_SEAL_MAX_RAW - 1) / BK_SEAL_MAX_RAW;
}

/* The first bytes of an object, of which the first frame is opened. */
typedef struct Start {
    bool is_fresh; /* ask the repository itself, whatever a cache holds */
    BkOpener *opener;
    BkBuf object;
    BkBuf raw; /* that the head points into */
    Head head;
    size_t next; /* where the second frame begins */
} Start;

static void
start_clear(Start *self)
{
    bk_opener_free(self->opener);
    bk_buf_clear(&self->object);
    bk_buf_clear(&self->raw);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Start, start_clear)

static bool
read_start_once(const BkSourceRepo *source_repo, const char *object_name, const char *name,
                const BkWalName *parsed, Start *start, BkOp *op, GError **error)
{
    const BkSealAs as = seal_as(source_repo, object_name, parsed);
    BkStore *store = bk_source_repo_store(source_repo);
    BkFrame frame = {0};

    start->opener = bk_opener_new();
    if (!(start->is_fresh
              ? bk_store_get(store, object_name, 0, HEAD_GUESS, HEAD_GUESS, &start->object, op,
                             error)
              : bk_store_get_start(store, object_name, HEAD_GUESS, &start->object, op, error)) ||
        !bk_opener_begin(start->opener, &as, start->object.data, start->object.size, error))
        return false;
    frame.data = start->object.data + BK_SEAL_HEADER_SIZE;
    frame.size = start->object.size - BK_SEAL_HEADER_SIZE;
    if (!bk_opener_frame(start->opener, &frame, &start->raw, error) ||
        !decode_head(&start->raw, name, &start->head, error))
        return false;
    start->next = BK_SEAL_HEADER_SIZE + frame.size;
    return true;
}

static bool
read_start(const BkSourceRepo *source_repo, const char *object_name, const char *name,
           const BkWalName *parsed, Start *start, BkOp *op, GError **error)
{
    g_autoptr(GError) cause = NULL;
    unsigned tries = 0;

    while (!read_start_once(source_repo, object_name, name, parsed, start, op, &cause)) {
        start_clear(start);
        *start = (Start){.is_fresh = start->is_fresh};
        if (!bk_reread_is_worth(bk_source_repo_store(source_repo), object_name, &tries, &cause, op))
            return bk_propagate(error, &cause);
    }
    return true;
}

static bool
explain_archive_error(const BkSourceRepo *source_repo, const char *name, const char *object_name,
                      GError *cause, GError **error)
{
    const char *repository = bk_repository_name(bk_source_repo_repository(source_repo));

    if (bk_error_is(cause, BK_ERROR_ABSENT)) {
        g_error_free(cause);
        return bk_throw(error, BK_ERROR_NOT_FOUND,
                        "the archive of \"%s\" in repository \"%s\" has no \"%s\"",
                        bk_source_repo_source(source_repo), repository, name);
    }
    g_propagate_prefixed_error(error, cause, "object \"%s\" of repository \"%s\": ", object_name,
                               repository);
    return false;
}

/* The bytes to compare an object with: in memory, or those of a file. */
typedef struct Own {
    uint64_t system_id;
    const char *name;
    const BkWalName *parsed;
    const BkBuf *content; /* NULL: read `path` */
    const char *path;
} Own;

/* Piece by piece through one small buffer: it stays in the processor's cache,
 * while mapping or reading the whole segment would cost a fault for each of its
 * pages. */
static bool
hash_local_file(const char *path, const BkXxh3Secret *secret, uint8_t hash[BK_XXH3_SIZE],
                uint64_t *size, GError **error)
{
    g_auto(BkFd) fd = bk_path_owner_open(path, error);
    g_autoptr(BkXxh3) state = bk_xxh3_new(secret);
    g_autofree uint8_t *piece = g_malloc(HASH_PIECE);
    size_t got = HASH_PIECE;

    for (*size = 0; fd >= 0 && got == HASH_PIECE; *size += got) {
        if (!bk_fd_pread(fd, piece, HASH_PIECE, *size, &got, error))
            return bk_prefix(error, "read \"%s\"", path);
        bk_xxh3_update(state, piece, got);
    }
    bk_xxh3_get(state, hash);
    return fd >= 0;
}

static bool
hash_own(const Own *own, const BkXxh3Secret *secret, uint8_t hash[BK_XXH3_SIZE], uint64_t *size,
         GError **error)
{
    if (own->content == NULL)
        return hash_local_file(own->path, secret, hash, size, error);
    bk_xxh3(secret, own->content->data, own->content->size, hash);
    *size = own->content->size;
    return true;
}

/* Is it the very file that was archived, and nobody has written to it since?
 * Then its content need not be read again: the archiver asks for each segment
 * once more that was pushed ahead. */
static bool
is_same_archived_file(const Own *own, const Head *head, const BkXxh3Secret *secret)
{
    const bool has_path = own->content == NULL && own->path != NULL;
    g_autofree char *identity = has_path ? bk_archive_identify(own->path) : NULL;
    uint8_t stamp[BK_XXH3_SIZE];

    if (identity == NULL || head->stamp_size != sizeof stamp)
        return false;
    bk_xxh3(secret, identity, strlen(identity), stamp);
    return memcmp(stamp, head->stamp, sizeof stamp) == 0;
}

/* Success when the object of this name is there and holds the same bytes; BK_ERROR_NOT_FOUND
 * without one. */
static bool
compare_with_present(const BkSourceRepo *source_repo, const Own *own, BkOp *op, GError **error)
{
    g_autofree char *object_name =
        bk_archive_object_name(source_repo, own->system_id, own->name, own->parsed);
    g_auto(Start) start = {.is_fresh = true};
    const BkXxh3Secret *secret;
    uint8_t hash[BK_XXH3_SIZE];
    uint64_t size;
    GError *cause = NULL;

    if (!read_start(source_repo, object_name, own->name, own->parsed, &start, op, &cause))
        return explain_archive_error(source_repo, own->name, object_name, cause, error);
    secret = bk_source_repo_hash_secret(source_repo, bk_opener_generation(start.opener));
    if (is_same_archived_file(own, &start.head, secret))
        return true;
    if (!hash_own(own, secret, hash, &size, error))
        return false;
    if (start.head.size == size && memcmp(hash, start.head.hash, sizeof hash) == 0)
        return true;
    return bk_throw(error, BK_ERROR_CONFLICT,
                    "the archive of \"%s\" in repository \"%s\" already has different content for "
                    "\"%s\": two clusters are archiving into this source",
                    bk_source_repo_source(source_repo),
                    bk_repository_name(bk_source_repo_repository(source_repo)), own->name);
}

/* What is seen in a bucket is durable. */
static bool
ensure_archived_durable(const BkSourceRepo *source_repo, const char *object_name, bool *has,
                        BkOp *op, GError **error)
{
    BkStore *store = bk_source_repo_store(source_repo);
    g_autoptr(GError) cause = NULL;

    *has = bk_store_is_remote(store) || bk_store_ensure_durable(store, object_name, op, &cause);
    return *has || bk_error_is(cause, BK_ERROR_ABSENT) || bk_propagate(error, &cause);
}

bool
bk_archive_has(GPtrArray *source_repos, uint64_t system_id, const char *path,
               const BkWalName *parsed, bool *has, BkOp *op, GError **error)
{
    g_autofree char *name = g_path_get_basename(path);
    const Own own = {system_id, name, parsed, NULL, path};

    *has = true;
    for (guint i = 0; *has && i < source_repos->len; i++) {
        const BkSourceRepo *source_repo = g_ptr_array_index(source_repos, i);
        g_autofree char *object_name = bk_archive_object_name(source_repo, system_id, name, parsed);
        g_autoptr(GError) cause = NULL;

        *has = compare_with_present(source_repo, &own, op, &cause);
        if (!*has && !bk_error_is(cause, BK_ERROR_NOT_FOUND))
            return bk_propagate(error, &cause);
        if (*has && !ensure_archived_durable(source_repo, object_name, has, op, error))
            return false;
    }
    return true;
}

bool
bk_archive_has_name(GPtrArray *source_repos, uint64_t system_id, const char *name,
                    const BkWalName *parsed, bool *has, BkOp *op, GError **error)
{
    *has = true;
    for (guint i = 0; *has && i < source_repos->len; i++) {
        const BkSourceRepo *source_repo = g_ptr_array_index(source_repos, i);
        g_autofree char *object_name = bk_archive_object_name(source_repo, system_id, name, parsed);
        g_autoptr(GError) cause = NULL;
        uint64_t size;

        *has = bk_store_stat(bk_source_repo_store(source_repo), object_name, &size, op, &cause);
        if (!*has && !bk_error_is(cause, BK_ERROR_ABSENT))
            return bk_propagate(error, &cause);
    }
    return true;
}

static bool
put_to(const BkSourceRepo *source_repo, const BkArchiveFile *file, uint64_t system_id,
       const BkBuf *object, BkOp *op, GError **error)
{
    g_autofree char *object_name =
        bk_archive_object_name(source_repo, system_id, file->name, &file->parsed);
    g_autoptr(GError) cause = NULL;

    if (!bk_fault(BK_FAULT_PG_ARCHIVE_PUT, error))
        return false;
    if (bk_store_put(bk_source_repo_store(source_repo), object_name, object, op, &cause))
        return true;
    if (bk_error_is(cause, BK_ERROR_EXISTS)) {
        const Own own = {system_id, file->name, &file->parsed, file->content, NULL};

        return compare_with_present(source_repo, &own, op, error);
    }
    return bk_propagate(error, &cause);
}

bool
bk_archive_put(BkArchiveWriter *self, GPtrArray *source_repos, const BkArchiveFile *file,
               uint64_t system_id, BkOp *op, GError **error)
{
    const BkSourceRepo *sealed_for = NULL;

    if (!inspect_archive_file(self, file, system_id, error))
        return false;
    for (guint i = 0; i < source_repos->len; i++) {
        const BkSourceRepo *source_repo = g_ptr_array_index(source_repos, i);
        uint32_t generation;

        if (sealed_for == NULL || !bk_source_repo_shares_keys(sealed_for, source_repo)) {
            (void)bk_keyring_newest(bk_source_repo_keys(source_repo), &generation);
            encode_head(self, file, bk_source_repo_hash_secret(source_repo, generation));
            if (!seal_file(self, source_repo, file, system_id, error))
                return false;
            sealed_for = source_repo;
        }
        if (!put_to(source_repo, file, system_id, &self->object, op, error))
            return false;
    }
    return true;
}

bool
bk_archive_put_again(BkArchiveWriter *self, const BkSourceRepo *source_repo,
                     const BkArchiveFile *file, uint64_t system_id, BkOp *op, GError **error)
{
    return put_to(source_repo, file, system_id, &self->object, op, error);
}

/* Passes the frames of the summary by unopened: damage to it is no reason to lose the file. */
static bool
take_content(BkFrameReader *reader, const Head *head, BkBuf *content, GError **error)
{
    g_auto(BkBuf) raw = BK_BUF_INIT;

    if (!bk_buf_reserve(content, head->size, error))
        return false;
    for (uint64_t i = 0; i < summary_frames(head); i++)
        if (!bk_frame_reader_next(reader, NULL, error))
            return false;
    while (!reader->has_had_last) {
        if (!bk_frame_reader_next(reader, &raw, error))
            return false;
        if (raw.size > head->size - content->size)
            return bk_throw(error, BK_ERROR_CORRUPT, "object has more data than its head says");
        bk_buf_append(content, raw.data, raw.size);
    }
    return content->size == head->size ||
           bk_throw(error, BK_ERROR_CORRUPT, "object has %zu bytes instead of %" G_GUINT64_FORMAT,
                    content->size, head->size);
}

static bool
get_archived_once(const BkSourceRepo *source_repo, const char *object_name, const char *name,
                  const BkWalName *parsed, BkBuf *content, BkOp *op, GError **error)
{
    const BkFrameSource source = {
        .store = bk_source_repo_store(source_repo),
        .name = object_name,
        .as = seal_as(source_repo, object_name, parsed),
        .window = WINDOW,
    };
    g_auto(BkFrameReader) reader = {.op = NULL};
    g_auto(BkBuf) raw = BK_BUF_INIT;
    Head head;

    content->size = 0;
    return bk_frame_reader_begin(&reader, &source, op, error) &&
           bk_frame_reader_next(&reader, &raw, error) && decode_head(&raw, name, &head, error) &&
           take_content(&reader, &head, content, error);
}

bool
bk_archive_get(const BkSourceRepo *source_repo, uint64_t system_id, const char *name,
               const BkWalName *parsed, BkBuf *content, BkOp *op, GError **error)
{
    g_autofree char *object_name = bk_archive_object_name(source_repo, system_id, name, parsed);
    GError *cause = NULL;
    unsigned tries = 0;

    do {
        if (get_archived_once(source_repo, object_name, name, parsed, content, op, &cause))
            return true;
    } while (
        bk_reread_is_worth(bk_source_repo_store(source_repo), object_name, &tries, &cause, op));
    return explain_archive_error(source_repo, name, object_name, cause, error);
}

bool
bk_archive_prove_size(const BkSourceRepo *source_repo, uint64_t system_id, const char *name,
                      const BkWalName *parsed, uint64_t size, BkOp *op, GError **error)
{
    g_autofree char *object_name = bk_archive_object_name(source_repo, system_id, name, parsed);
    const BkFrameSource source = {
        .store = bk_source_repo_store(source_repo),
        .name = object_name,
        .as = seal_as(source_repo, object_name, parsed),
    };

    return size <= WINDOW || bk_frame_prove_size(&source, size, op, error);
}

bool
bk_archive_is_same(const BkSourceRepo *source_repo, const BkSourceRepo *other, uint64_t system_id,
                   const char *name, const BkWalName *parsed, bool *is_same, BkOp *op,
                   GError **error)
{
    g_auto(BkBuf) first = BK_BUF_INIT;
    g_auto(BkBuf) second = BK_BUF_INIT;

    if (!bk_archive_get(source_repo, system_id, name, parsed, &first, op, error) ||
        !bk_archive_get(other, system_id, name, parsed, &second, op, error))
        return false;
    *is_same = first.size == second.size &&
               (first.size == 0 || memcmp(first.data, second.data, first.size) == 0);
    return true;
}

bool
bk_archive_get_info(const BkSourceRepo *source_repo, uint64_t system_id, const char *name,
                    const BkWalName *parsed, BkWalInfo *info, BkOp *op, GError **error)
{
    g_autofree char *object_name = bk_archive_object_name(source_repo, system_id, name, parsed);
    g_auto(Start) start = {0};
    GError *cause = NULL;
    bool ok = read_start(source_repo, object_name, name, parsed, &start, op, &cause) &&
              bk_wal_info_decode(start.head.info, start.head.info_size, info, &cause);

    return ok || explain_archive_error(source_repo, name, object_name, cause, error);
}

/* Are the frames of the summary among the bytes that were fetched? */
static bool
has_summary(const Start *start)
{
    size_t next = start->next;

    for (uint64_t i = 0; i < summary_frames(&start->head); i++) {
        BkFrame frame = {.data = start->object.data + next, .size = start->object.size - next};

        if (!bk_frame_measure(&frame, NULL))
            return false;
        next += frame.size;
    }
    return true;
}

/* Fetches what of a long summary is not there yet. */
static bool
fetch_summary(const BkSourceRepo *source_repo, const char *object_name, Start *start, BkOp *op,
              GError **error)
{
    g_auto(BkBuf) more = BK_BUF_INIT;
    size_t end =
        start->next + start->head.summary_size + summary_frames(&start->head) * BK_SEAL_FRAME_COST;
    size_t size = end > start->object.size ? end - start->object.size : 0;

    if (size == 0 || start->object.size < HEAD_GUESS || has_summary(start))
        return true;
    if (!bk_store_get(bk_source_repo_store(source_repo), object_name, start->object.size, size,
                      size, &more, op, error))
        return false;
    bk_buf_append(&start->object, more.data, more.size);
    return true;
}

static bool
open_summary(const Start *start, BkWalBlocks *blocks, GError **error)
{
    g_auto(BkBuf) raw = BK_BUF_INIT;
    g_auto(BkBuf) summary = BK_BUF_INIT;
    size_t next = start->next;

    for (uint64_t i = 1; i <= summary_frames(&start->head); i++) {
        BkFrame frame = {
            .ordinal = i,
            .data = start->object.data + next,
            .size = start->object.size - next,
        };

        if (!bk_opener_frame(start->opener, &frame, &raw, error))
            return false;
        bk_buf_append(&summary, raw.data, raw.size);
        next += frame.size;
    }
    return bk_wal_blocks_decode(summary.data, summary.size, blocks, error);
}

/* From the segment itself. */
static bool
summarise_segment(const BkSourceRepo *source_repo, uint64_t system_id, const char *name,
                  const BkWalName *parsed, BkWalInfo *info, BkWalBlocks *blocks, BkOp *op,
                  GError **error)
{
    g_auto(BkBuf) content = BK_BUF_INIT;

    bk_wal_info_clear(info);
    bk_wal_blocks_clear(blocks);
    return bk_archive_get(source_repo, system_id, name, parsed, &content, op, error) &&
           (collect_segment_info(parsed, &content, info, blocks, error) ||
            bk_prefix(error, "WAL segment \"%s\"", name));
}

bool
bk_archive_get_blocks(const BkSourceRepo *source_repo, uint64_t system_id, const char *name,
                      const BkWalName *parsed, BkWalInfo *info, BkWalBlocks *blocks, BkOp *op,
                      GError **error)
{
    g_autofree char *object_name = bk_archive_object_name(source_repo, system_id, name, parsed);
    g_autoptr(GError) damage = NULL;
    g_auto(Start) start = {0};
    GError *cause = NULL;

    *info = (BkWalInfo){0};
    *blocks = (BkWalBlocks){0};
    if (!read_start(source_repo, object_name, name, parsed, &start, op, &cause) ||
        !bk_wal_info_decode(start.head.info, start.head.info_size, info, &cause))
        return explain_archive_error(source_repo, name, object_name, cause, error);
    if (!fetch_summary(source_repo, object_name, &start, op, &cause)) {
        bk_wal_info_clear(info);
        return explain_archive_error(source_repo, name, object_name, cause, error);
    }
    if (!open_summary(&start, blocks, &damage))
        bk_log(BK_LOG_WARNING, "the summary of \"%s\" is unusable, reading the segment instead: %s",
               object_name, damage->message);
    else if (blocks->unfit == NULL)
        return true;
    return summarise_segment(source_repo, system_id, name, parsed, info, blocks, op, error);
}
