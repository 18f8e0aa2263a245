/* marks.c - how far a source had come in one repository, as this host has seen it. */
#include "repo/targets/marks.h"

#include <inttypes.h>
#include <string.h>

#define TITLE      "backstay marks "
#define VERSION    "2"
#define NONE       "-"
#define LINE_COUNT 6

/* The value of line `index`, which begins with `key` and a blank, or NULL. */
static const char *
value_of(char **lines, unsigned index, const char *key)
{
    const size_t size = strlen(key);

    if (strncmp(lines[index], key, size) != 0 || lines[index][size] != ' ')
        return NULL;
    return lines[index] + size + 1;
}

static bool
take_repository(const char *value, BkMarks *marks)
{
    if (value == NULL || strlen(value) != BK_REPOSITORY_ID_SIZE ||
        strspn(value, "0123456789abcdef") != BK_REPOSITORY_ID_SIZE)
        return false;
    memcpy(marks->repository, value, sizeof marks->repository);
    return true;
}

static bool
take_generation(const char *value, BkMarks *marks)
{
    uint64_t number;

    if (value == NULL || !g_ascii_string_to_unsigned(value, 10, 0, UINT32_MAX, &number, NULL))
        return false;
    marks->generation = (uint32_t)number;
    return true;
}

static bool
take_snapshot(const char *value, char id[BK_SNAPSHOT_ID_SIZE + 1])
{
    if (value == NULL)
        return false;
    if (strcmp(value, NONE) == 0)
        return true;
    if (strlen(value) != BK_SNAPSHOT_ID_SIZE ||
        strspn(value, "0123456789TZabcdef-") != BK_SNAPSHOT_ID_SIZE)
        return false;
    memcpy(id, value, BK_SNAPSHOT_ID_SIZE + 1);
    return true;
}

static bool
take_segment(const char *value, BkMarks *marks)
{
    g_auto(GStrv) words = NULL;
    BkWalName parsed;

    if (value == NULL)
        return false;
    if (strcmp(value, NONE) == 0)
        return true;
    words = g_strsplit(value, " ", 3);
    if (g_strv_length(words) != 2 ||
        !g_ascii_string_to_unsigned(words[0], 10, 1, G_MAXUINT64, &marks->system_id, NULL) ||
        !bk_wal_name_parse(words[1], &parsed) || parsed.kind != BK_WAL_SEGMENT)
        return false;
    memcpy(marks->segment, words[1], sizeof marks->segment);
    return true;
}

bool
bk_marks_parse(const void *text, size_t size, BkMarks *marks, GError **error)
{
    g_autofree char *copy = NULL;
    g_auto(GStrv) lines = NULL;

    *marks = (BkMarks){.generation = 0};
    if (size > BK_MARKS_MAX_SIZE || size == 0 || memchr(text, 0, size) != NULL)
        return bk_throw(error, BK_ERROR_CORRUPT, "not a file of marks");
    copy = g_strndup(text, size);
    lines = g_strsplit(copy, "\n", LINE_COUNT + 2);
    if (!g_str_has_prefix(lines[0], TITLE))
        return bk_throw(error, BK_ERROR_CORRUPT, "not a file of marks");
    if (strcmp(lines[0], TITLE VERSION) != 0)
        return bk_throw(error, BK_ERROR_UNSUPPORTED, "marks of another version");
    /* The last line ends with a newline: what was cut off is not taken for less. */
    if (g_strv_length(lines) == LINE_COUNT + 1 && lines[LINE_COUNT][0] == 0 &&
        take_repository(value_of(lines, 1, "repository"), marks) &&
        take_generation(value_of(lines, 2, "generation"), marks) &&
        take_snapshot(value_of(lines, 3, "snapshot"), marks->snapshot) &&
        take_segment(value_of(lines, 4, "segment"), marks) &&
        take_snapshot(value_of(lines, 5, "lost"), marks->lost))
        return true;
    *marks = (BkMarks){.generation = 0};
    return bk_throw(error, BK_ERROR_CORRUPT, "malformed marks");
}

void
bk_marks_format(const BkMarks *self, BkBuf *text)
{
    g_autofree char *segment =
        self->segment[0] != 0 ? g_strdup_printf("%" PRIu64 " %s", self->system_id, self->segment)
                              : g_strdup(NONE);
    g_autofree char *line = g_strdup_printf(
        TITLE VERSION "\nrepository %s\ngeneration %" PRIu32 "\nsnapshot %s\nsegment %s\nlost %s\n",
        self->repository, self->generation, self->snapshot[0] != 0 ? self->snapshot : NONE, segment,
        self->lost[0] != 0 ? self->lost : NONE);

    bk_buf_append(text, line, strlen(line));
}

bool
bk_marks_raise(BkMarks *self, const BkMarks *seen)
{
    const BkMarks before = *self;

    if (strcmp(self->repository, seen->repository) != 0) {
        *self = *seen;
        return true;
    }
    self->generation = MAX(self->generation, seen->generation);
    /* The last that was put, whatever the clock said: ids begin with a time. */
    if (seen->snapshot[0] != 0)
        memcpy(self->snapshot, seen->snapshot, sizeof self->snapshot);
    /* Names of different clusters are not compared: the last that was put counts. */
    if (seen->segment[0] != 0 &&
        (seen->system_id != self->system_id || strcmp(seen->segment, self->segment) > 0)) {
        self->system_id = seen->system_id;
        memcpy(self->segment, seen->segment, sizeof self->segment);
    }
    if (self->lost[0] == 0)
        memcpy(self->lost, seen->lost, sizeof self->lost);
    return before.generation != self->generation || strcmp(before.lost, self->lost) != 0 ||
           strcmp(before.snapshot, self->snapshot) != 0 || before.system_id != self->system_id ||
           strcmp(before.segment, self->segment) != 0;
}
