/* fuzz-unseal.c - a sealed object whose key is known, changed as the input says: unchanged or an
 * error, and an inspection finds problems just where a reader finds an error. The input itself is
 * tried as an object, too. */
#include "repo/snapshot/inspect.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT BK_MIB

static void
make_object(const BkKeyring *keys, BkBuf *object)
{
    const BkSealAs as = {keys, BK_SEAL_PACK, "orders/packs"};
    g_autoptr(BkSealer) sealer = bk_sealer_new(BK_CODEC_LZ4, 1);

    if (!bk_sealer_begin(sealer, &as, object, NULL) ||
        !bk_sealer_add(sealer, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 40, false, NULL) ||
        !bk_sealer_add(sealer, "", 0, false, NULL) ||
        !bk_sealer_add(sealer, "last", 4, true, NULL) || !bk_sealer_finish(sealer, NULL, NULL))
        g_assert_not_reached();
}

/* Opens an object in memory of just its size. */
static bool
is_accepted(const BkKeyring *keys, const uint8_t *data, size_t size)
{
    const BkSealAs as = {keys, BK_SEAL_PACK, "orders/packs"};
    g_autofree uint8_t *exact = g_memdup2(data, size);
    g_autoptr(BkOpener) opener = bk_opener_new();
    g_auto(BkBuf) raw = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) check_error = NULL;
    BkBuf object = {exact, size, size};
    bool ok = bk_unseal(opener, &as, &object, LIMIT, &raw, &error);
    bool checked = bk_seal_check(&object, &check_error);

    g_assert(ok == (error == NULL) && checked == (check_error == NULL));
    g_assert(!ok || checked);
    return ok;
}

/* Problems are within the object. */
static bool
has_no_problem(const BkKeyring *keys, const uint8_t *data, size_t size)
{
    const BkSealAs as = {keys, BK_SEAL_PACK, "orders/packs"};
    g_autofree uint8_t *exact = g_memdup2(data, size);
    g_auto(BkInspection) inspection = {.size = 0};
    BkBuf object = {exact, size, size};

    bk_inspection_init(&inspection, &object);
    bk_inspection_open(&inspection, &object, &as);
    for (guint i = 0; i < inspection.problems->len; i++) {
        const BkInspectProblem *problem = g_ptr_array_index(inspection.problems, i);

        g_assert(problem->offset <= size && problem->size <= size - problem->offset);
    }
    return inspection.problems->len == 0;
}

/* Takes the input as triples: offset (two bytes), what is added there. */
static void
change(BkBuf *object, const uint8_t *data, size_t size)
{
    for (; size >= 3; data += 3, size -= 3)
        object->data[(data[0] | (size_t)data[1] << 8) % object->size] ^= data[2];
    object->size -= size > 0 ? data[0] % object->size : 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(BkKeyring) keys = bk_keyring_new();
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_auto(BkBuf) before = BK_BUF_INIT;
    BkSecret secret = {{1}};
    bool is_same;

    bk_keyring_add(keys, 1, &secret);
    make_object(keys, &object);
    bk_buf_append(&before, object.data, object.size);
    change(&object, data, size);
    is_same = object.size == before.size && memcmp(object.data, before.data, before.size) == 0;
    g_assert(is_accepted(keys, object.data, object.size) == is_same);
    g_assert(has_no_problem(keys, object.data, object.size) == is_same);
    g_assert(!is_accepted(keys, data, size));
    g_assert(!has_no_problem(keys, data, size));
    return 0;
}
