/* past-fixture.h - snapshots with packs and WAL for the repository of repo-fixture.h.
 *
 * Threads: belongs to one thread. */
#pragma once
#include "repo-fixture.h"
#include "repo/snapshot/snapshot-manifest.h"
#include "source/pg/archive/archive.h"
#include "source/pg/cluster/pg-meta.h"
#include "wal-builder.h"

#define PAST_DAY (INT64_C(86400) * BK_USEC_PER_SEC)

/* The WAL segment with which the WAL of these tests begins. */
#define PAST_SEGNO 5u

#define MONDAY     (INT64_C(1795996800) * BK_USEC_PER_SEC) /* 2026-11-30 */
#define FIRST      "20261130T000000Z-00000001"
#define SECOND     "20261201T000000Z-00000002"
#define THIRD      "20261202T000000Z-00000003"
#define UNFINISHED "20261202T000500Z-00000004"

#define MANIFEST(id) "orders/snapshots/" id
#define SEGMENT(last)                                                                              \
    "orders/wal/" WAL_SYSTEM_DIGITS "/00000001/0000000100000000/00000001000000000000000" last

typedef struct PastSnapshot {
    const char *id;
    int64_t started_us;
    BkSnapshotState state; /* 0: complete */
    uint32_t timeline;     /* 0: the first */
    uint64_t first_segno;  /* its own WAL */
    uint64_t last_segno;
    const char *packs; /* a letter for each: the same letter is the same pack */
} PastSnapshot;

/* Puts the pack of a letter, once for a part; keeps what describes it in `packs` (BkPackRef by
 * letter). */
static inline const BkPackRef *
past_put_pack(RepoFixture *repo, GHashTable *packs, char letter)
{
    BkPackRef *ref = g_hash_table_lookup(packs, GINT_TO_POINTER(letter));
    g_autoptr(BkPackWriter) writer = NULL;
    g_autofree char *name = NULL;
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    size_t room;

    if (ref != NULL)
        return ref;
    ref = g_new0(BkPackRef, 1);
    writer = bk_pack_writer_new(repo->source_repo, BK_CODEC_STORED, 0);
    EXPECT_DONE(bk_pack_writer_begin(writer, &object, &error));
    memset(bk_pack_writer_room(writer, &room), letter, 1000);
    EXPECT_DONE(bk_pack_writer_commit(writer, 1000, &error));
    EXPECT_DONE(bk_pack_writer_finish(writer, ref, &error));
    name = bk_pack_object_name(repo->source_repo, ref->name);
    EXPECT_DONE(bk_store_put(repo->store, name, &object, repo->op, &error));
    g_hash_table_insert(packs, GINT_TO_POINTER(letter), ref);
    return ref;
}

/* What a manifest says of the cluster; to be cleared. */
static inline void
past_describe(const PastSnapshot *past, uint64_t system_id, BkPgMeta *meta)
{
    bk_pg_meta_init(meta);
    meta->system_id = system_id;
    meta->segment_size = WAL_SEGMENT;
    meta->timeline = past->timeline != 0 ? past->timeline : 1;
    meta->start_lsn = meta->redo_lsn = past->first_segno * WAL_SEGMENT + 40;
    meta->stop_lsn = past->last_segno * WAL_SEGMENT + 80;
    meta->stop_us = past->started_us + 1;
}

static inline void
past_put_described(RepoFixture *repo, GHashTable *packs, const PastSnapshot *past,
                   const BkPgMeta *meta)
{
    g_autoptr(BkSnapshot) snapshot = bk_snapshot_new();
    BkSnapshotHead *head = bk_snapshot_head(snapshot);
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    (void)g_strlcpy(head->id, past->id, sizeof head->id);
    head->source = g_strdup("orders");
    head->kind = g_strdup(BK_PG_KIND);
    head->state = past->state != 0 ? past->state : BK_SNAPSHOT_COMPLETE;
    head->mode = BK_SNAPSHOT_FULL;
    head->started_us = past->started_us;
    bk_pg_meta_encode(meta, &head->meta);
    for (const char *letter = past->packs; *letter != 0; letter++)
        (void)bk_snapshot_add_pack(snapshot, past_put_pack(repo, packs, *letter));
    EXPECT_DONE(bk_snapshot_seal(snapshot, repo->source_repo, &object, &error));
    EXPECT_DONE(bk_snapshot_put(repo->source_repo, past->id, &object, repo->op, &error));
}

static inline void
past_put_snapshot_of(RepoFixture *repo, GHashTable *packs, const PastSnapshot *past,
                     uint64_t system_id)
{
    g_auto(BkPgMeta) meta = {0};

    past_describe(past, system_id, &meta);
    past_put_described(repo, packs, past, &meta);
}

static inline void
past_put_snapshot(RepoFixture *repo, GHashTable *packs, const PastSnapshot *past)
{
    past_put_snapshot_of(repo, packs, past, WAL_SYSTEM);
}

/* Archives one file; `identity` as in BkArchiveFile. */
static inline void
past_put_file(BkSourceRepo *source_repo, const char *name, const BkBuf *content,
              const char *identity, BkOp *op)
{
    g_autoptr(BkArchiveWriter) writer = bk_archive_writer_new(BK_CODEC_ZSTD, 1);
    g_autoptr(GPtrArray) source_repos = g_ptr_array_new();
    BkArchiveFile file = {
        .name = name,
        .content = content,
        .is_ready = true,
        .identity = identity,
    };
    g_autoptr(GError) error = NULL;

    g_ptr_array_add(source_repos, source_repo);
    g_assert_true(bk_wal_name_parse(name, &file.parsed));
    EXPECT_DONE(bk_archive_put(writer, source_repos, &file, WAL_SYSTEM, op, &error));
}

/* Archives segment `segno` of `timeline`, whose one transaction is `xid`. */
static inline void
past_put_segment(BkSourceRepo *source_repo, uint32_t timeline, uint64_t segno, uint32_t xid,
                 BkOp *op)
{
    g_auto(WalBuilder) builder = {0};
    char name[BK_WAL_NAME_SIZE];
    BkBuf content;

    wal_builder_init(&builder, BK_WAL_MAGIC_15, segno * WAL_SEGMENT);
    builder.timeline = timeline;
    (void)wal_builder_xact(&builder, 0x00, xid, PAST_DAY);
    wal_builder_pad(&builder);
    g_assert_cmpuint(builder.out.size, ==, WAL_SEGMENT);
    content = builder.out;
    past_put_file(source_repo, bk_wal_segment_name(timeline, segno, WAL_SEGMENT, name), &content,
                  NULL, op);
}

static inline void
past_put_text(BkSourceRepo *source_repo, const char *name, const char *text, BkOp *op)
{
    g_auto(BkBuf) content = BK_BUF_INIT;

    bk_buf_append(&content, text, strlen(text));
    past_put_file(source_repo, name, &content, NULL, op);
}

static inline GHashTable *
past_packs_new(void)
{
    return g_hash_table_new_full(NULL, NULL, NULL, g_free);
}

/* Three snapshots and an unfinished one; segments 5 to 10, of which the snapshots need 5 and 6, 7,
 * and 9 themselves; two small WAL files. */
static inline void
past_fill(RepoFixture *repo, GHashTable *packs)
{
    static const PastSnapshot snapshots[] = {
        {FIRST, MONDAY, BK_SNAPSHOT_COMPLETE, 1, PAST_SEGNO, PAST_SEGNO + 1, "abc"},
        {SECOND, MONDAY + PAST_DAY, BK_SNAPSHOT_COMPLETE, 1, PAST_SEGNO + 2, PAST_SEGNO + 2, "bcd"},
        {THIRD, MONDAY + 2 * PAST_DAY, BK_SNAPSHOT_COMPLETE, 1, PAST_SEGNO + 4, PAST_SEGNO + 4,
         "ef"},
        {UNFINISHED, MONDAY + 2 * PAST_DAY + 1, BK_SNAPSHOT_UNFINISHED, 1, PAST_SEGNO + 5,
         PAST_SEGNO + 5, "eg"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(snapshots); i++)
        past_put_snapshot(repo, packs, &snapshots[i]);
    for (uint32_t i = 0; i < 6; i++)
        past_put_segment(repo->source_repo, 1, PAST_SEGNO + i, 700 + i, repo->op);
    past_put_text(repo->source_repo, "00000002.history", "1\t0/700000\tpromoted\n", repo->op);
    past_put_text(repo->source_repo, "000000010000000000000007.00000028.backup", "START WAL\n",
                  repo->op);
}

/* Flips a byte of an object. */
static inline void
past_damage(BkStore *store, const char *name, BkOp *op)
{
    g_auto(BkBuf) object = BK_BUF_INIT;

    repo_fixture_get(store, name, &object, op);
    object.data[object.size / 2] ^= 1;
    repo_fixture_overwrite(store, name, &object, op);
}

/* The same near its beginning, where a WAL object has its head. */
static inline void
past_damage_start(BkStore *store, const char *name, BkOp *op)
{
    g_auto(BkBuf) object = BK_BUF_INIT;

    repo_fixture_get(store, name, &object, op);
    object.data[MIN(object.size - 1, 80)] ^= 1;
    repo_fixture_overwrite(store, name, &object, op);
}
