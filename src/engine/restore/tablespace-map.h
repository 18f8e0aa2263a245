/* tablespace-map.h - where the tablespaces of a restored cluster go.
 *
 * A map is an array of BkRestoreTablespace.
 * Threads: belongs to one thread. */
#pragma once
#include "base/beneath.h"
#include "engine/restore/restore-request.h"
#include "repo/extract/chown-map.h"
#include "repo/extract/owned-directory.h"
#include "repo/snapshot/snapshot.h"
#include "source/pg/cluster/pg-meta.h"

/* Maps each tablespace of `meta` to where it was, or to what "NAME=DIR" in `remaps` says; a
 * directory that is not absolute is taken from the present directory. Fails with BK_ERROR_USAGE for
 * an unknown name, a word of a wrong form or a place inside `root`. */
GArray *bk_tablespace_map_new(const BkPgMeta *meta, const char *const *remaps, const char *root,
                              GError **error) BK_MUST_USE;
/* Checks that these words are "NAME=DIR"; BK_ERROR_USAGE otherwise. */
bool bk_tablespace_map_check_words(const char *const *remaps, GError **error) BK_MUST_USE;

void bk_tablespace_map_free(GArray *self); /* NULL is fine */

/* Fails with BK_ERROR_UNFIT when a directory holds something in the way that is not the
 * destination's own. Directories of clusters of other versions ("PG_<version>_<catalog>") are not
 * in the way of one of `meta`. */
bool bk_tablespace_map_check(const GArray *self, const BkPgMeta *meta,
                             const BkRestoreRequest *request, GError **error) BK_MUST_USE;

/* Moves aside, within each tablespace's directory, what the old cluster in `root`, `old`'s, has
 * there in the place of the directory that one of `meta` has; the old cluster's links follow.
 * Directories of other versions stay. */
bool bk_tablespace_map_move_aside(const GArray *self, const BkPgMeta *meta, const char *root,
                                  const BkIdentity *old, GError **error) BK_MUST_USE;

/* Makes the directories, for the cluster's owner, and mounts each in `place` at its link. The mode
 * of new ones is `mode`. */
bool bk_tablespace_map_make(const GArray *self, BkBeneath *place, const BkPathOwner *owner,
                            mode_t mode, GError **error) BK_MUST_USE;

/* Checks that each link of `snapshot` is that of a tablespace of the map. Fails with
 * BK_ERROR_CORRUPT when one is not: a data directory has no others, and where such a one leads
 * nobody has looked at. */
bool bk_tablespace_map_check_links(const GArray *self, const BkSnapshot *snapshot,
                                   GError **error) BK_MUST_USE;

/* Makes the link `file` ("pg_tblspc/OID", which was checked) in `place`, to where the tablespace is
 * now. */
bool bk_tablespace_map_link(const GArray *self, const BkBeneath *place, const BkFile *file,
                            GError **error) BK_MUST_USE;
