/* system.h - the clusters of a source, and which of them is current.
 *
 * pg_upgrade makes a new cluster, with a system identifier of its own. A source goes on with it
 * once an operator has declared it current; nothing else makes a cluster current beside another
 * one. Identifiers are random for this purpose, and positions of different clusters are never
 * compared. Pure calculation. Threads: safe; nothing here has state. */
#pragma once
#include "base/macros.h"

typedef struct BkSystemEvidence {
    uint64_t system_id;
    uint64_t decision;    /* number of the newest by which it was declared current; 0: none */
    const char *snapshot; /* id of the newest snapshot; NULL: there is none */
    int64_t archived_us;  /* when its newest WAL was put; 0: there is none */
} BkSystemEvidence;

/* Less than 0 when `a` comes before `b`: in the order in which they were declared current, those
 * that never were first, by their newest snapshots, then by their newest WAL. Of several clusters
 * the last one is current. The order is total. */
int bk_system_compare(const BkSystemEvidence *a, const BkSystemEvidence *b);
