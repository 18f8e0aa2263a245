/* test-seal.c - the envelope: whatever is done to an object is noticed. */
#include "codec/aead.h"
#include "codec/wire.h"
#include "expect.h"
#include "repo/seal-priv.h"

#define LIMIT ((size_t)16 << 20)
#define NAME  "orders/packs"

typedef struct Fixture {
    BkKeyring *keys;
    BkSealAs as;
    BkOpener *opener;
    BkBuf object;     /* three frames: "first", 300 random bytes, "last" */
    size_t frames[4]; /* where each starts, and the end of the last */
    BkBuf raw;
} Fixture;

static void
seal_three(const BkSealAs *as, BkBuf *object, size_t frames[4])
{
    g_autoptr(BkSealer) sealer = bk_sealer_new(BK_CODEC_ZSTD, 1);
    g_autoptr(GError) error = NULL;
    uint8_t noise[300];

    EXPECT_DONE(bk_random_fill(noise, sizeof noise, &error));
    EXPECT_DONE(bk_sealer_begin(sealer, as, object, &error));
    frames[0] = object->size;
    EXPECT_DONE(bk_sealer_add(sealer, "first", 5, false, &error));
    frames[1] = object->size;
    EXPECT_DONE(bk_sealer_add(sealer, noise, sizeof noise, false, &error));
    frames[2] = object->size;
    EXPECT_DONE(bk_sealer_add(sealer, "last", 4, true, &error));
    frames[3] = object->size;
    EXPECT_DONE(bk_sealer_finish(sealer, NULL, &error));
}

static void
set_up(Fixture *self, const void *data)
{
    BkSecret secret = {{42}};

    (void)data;
    self->keys = bk_keyring_new();
    bk_keyring_add(self->keys, 3, &secret);
    self->as = (BkSealAs){self->keys, BK_SEAL_PACK, NAME};
    self->opener = bk_opener_new();
    self->object = BK_BUF_INIT;
    self->raw = BK_BUF_INIT;
    seal_three(&self->as, &self->object, self->frames);
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    bk_keyring_free(self->keys);
    bk_opener_free(self->opener);
    bk_buf_clear(&self->object);
    bk_buf_clear(&self->raw);
}

static bool
unseal(Fixture *self, const BkBuf *object, GError **error)
{
    return bk_unseal(self->opener, &self->as, object, LIMIT, &self->raw, error);
}

/* Ends `object` (header and frames) with a trailer as one who has the key would: what is wrong with
 * the frames must show without it. */
static void
put_trailer(const Fixture *self, BkBuf *object, size_t last_frame)
{
    g_autoptr(BkAead) aead = bk_aead_new();
    uint32_t generation;
    BkSecret key;
    BkSealAssociated associated;
    BkAeadFrame sealed;
    uint8_t digest[BK_SHA256_SIZE];
    size_t size = object->size;
    uint8_t *tag;

    bk_wire_put_u64(object, size);
    bk_wire_put_u64(object, last_frame);
    bk_sha256(object->data, object->size, digest);
    bk_buf_append(object, digest, sizeof digest);
    bk_seal_associate(&associated, object->data, NAME);
    sealed = bk_seal_trailer(&associated, object->data + size);
    bk_seal_derive_key(bk_keyring_newest(self->keys, &generation), object->data + BK_SEAL_SALT_AT,
                       BK_SEAL_PACK, &key);
    bk_aead_set_key(aead, &key, true);
    tag = bk_buf_extend(object, BK_AEAD_TAG_SIZE);
    bk_aead_seal(aead, &sealed, tag, 0);
}

/* An object of the frames of ours that `order` names by digits, with a right trailer. */
static void
rearrange(const Fixture *self, const char *order, BkBuf *object)
{
    size_t last = 0;

    bk_buf_append(object, self->object.data, BK_SEAL_HEADER_SIZE);
    for (; *order != 0; order++) {
        size_t i = (size_t)(*order - '0');

        last = object->size;
        bk_buf_append(object, self->object.data + self->frames[i],
                      self->frames[i + 1] - self->frames[i]);
    }
    put_trailer(self, object, last);
}

static void
test_round_trip(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_DONE(unseal(self, &self->object, &error));
    g_assert_cmpuint(self->raw.size, ==, 309);
    g_assert_cmpint(memcmp(self->raw.data, "first", 5), ==, 0);
    g_assert_cmpint(memcmp(self->raw.data + 305, "last", 4), ==, 0);
    EXPECT_DONE(bk_seal_check(&self->object, &error));
}

static void
test_sizes(Fixture *self, const void *data)
{
    static const size_t sizes[] = {0, 1, BK_MIB - 1, BK_MIB, BK_MIB + 1, 3 * BK_MIB + 5};
    g_autoptr(BkSealer) sealer = bk_sealer_new(BK_CODEC_LZ4, 1);
    g_autofree uint8_t *content = g_malloc0(4 * BK_MIB);
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    (void)data;
    for (size_t i = 0; i < 4 * BK_MIB; i += 1000)
        content[i] = (uint8_t)g_test_rand_int();
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        EXPECT_DONE(bk_seal(sealer, &self->as, content, sizes[i], &object, &error));
        EXPECT_DONE(unseal(self, &object, &error));
        EXPECT_BYTES(self->raw.data, self->raw.size, content, sizes[i]);
        EXPECT_DONE(bk_seal_check(&object, &error));
    }
}

static void
test_every_flipped_byte(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    for (size_t i = 0; i < self->object.size; i++) {
        for (unsigned bit = 0; bit < 8; bit += 7) {
            self->object.data[i] ^= (uint8_t)(1u << bit);
            g_assert_false(unseal(self, &self->object, &error));
            g_assert_true(bk_error_is(error, BK_ERROR_CORRUPT) ||
                          bk_error_is(error, BK_ERROR_UNSUPPORTED));
            g_clear_error(&error);
            self->object.data[i] ^= (uint8_t)(1u << bit);
        }
    }
    EXPECT_DONE(unseal(self, &self->object, &error));
}

static void
test_every_truncation(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    for (size_t size = 0; size < self->object.size; size++) {
        g_autofree uint8_t *exact = g_memdup2(self->object.data, size);
        BkBuf cut = {exact, size, size};

        EXPECT_ERROR(unseal(self, &cut, &error), BK_ERROR_CORRUPT);
        EXPECT_ERROR(bk_seal_check(&cut, &error), BK_ERROR_CORRUPT);
    }
    bk_buf_append(&self->object, "", 1);
    EXPECT_ERROR(unseal(self, &self->object, &error), BK_ERROR_CORRUPT);
    EXPECT_ERROR(bk_seal_check(&self->object, &error), BK_ERROR_CORRUPT);
}

static void
test_frames_rearranged(Fixture *self, const void *data)
{
    static const char *const orders[] = {"102", "02", "12", "2", "0012", "0112", "0122", "01", "0"};
    g_autoptr(GError) error = NULL;
    g_auto(BkBuf) same = BK_BUF_INIT;

    (void)data;
    rearrange(self, "012", &same);
    EXPECT_DONE(unseal(self, &same, &error)); /* the trailer is not what is wrong below */
    EXPECT_BYTES(same.data, same.size, self->object.data, self->object.size);
    for (size_t i = 0; i < G_N_ELEMENTS(orders); i++) {
        g_auto(BkBuf) object = BK_BUF_INIT;

        rearrange(self, orders[i], &object);
        EXPECT_DONE(bk_seal_check(&object, &error));
        EXPECT_ERROR(unseal(self, &object, &error), BK_ERROR_CORRUPT);
    }
}

static void
test_last_frame_mark_moved(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    for (size_t marked = 0; marked < 3; marked++) {
        g_auto(BkBuf) object = BK_BUF_INIT;

        bk_buf_append(&object, self->object.data, self->frames[3]);
        object.data[self->frames[2] + 3] ^= 0x80;
        object.data[self->frames[marked] + 3] ^= 0x80;
        put_trailer(self, &object, self->frames[2]);
        if (marked == 2)
            EXPECT_DONE(unseal(self, &object, &error));
        else
            EXPECT_ERROR(unseal(self, &object, &error), BK_ERROR_CORRUPT);
    }
}

/* Frames and trailers of another object of the same key and the same sizes. */
static void
test_parts_of_another_object(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_auto(BkBuf) other = BK_BUF_INIT;
    size_t frames[4];

    (void)data;
    seal_three(&self->as, &other, frames);
    g_assert_cmpuint(other.size, ==, self->object.size);
    memcpy(other.data + frames[3], self->object.data + frames[3], BK_SEAL_TRAILER_SIZE);
    EXPECT_ERROR(unseal(self, &other, &error), BK_ERROR_CORRUPT);
    EXPECT_ERROR(bk_seal_check(&other, &error), BK_ERROR_CORRUPT);
    for (size_t i = 0; i < 3; i++) {
        g_auto(BkBuf) mixed = BK_BUF_INIT;

        bk_buf_append(&mixed, self->object.data, frames[3]);
        memcpy(mixed.data + frames[i], other.data + frames[i], frames[i + 1] - frames[i]);
        put_trailer(self, &mixed, frames[2]);
        EXPECT_ERROR(unseal(self, &mixed, &error), BK_ERROR_CORRUPT);
    }
}

static void
test_wrong_kind_generation_version(Fixture *self, const void *data)
{
    g_autoptr(BkKeyring) others = bk_keyring_new();
    g_autoptr(GError) error = NULL;
    BkSecret secret = {{43}};

    (void)data;
    self->as.kind = BK_SEAL_LEASE;
    EXPECT_ERROR(unseal(self, &self->object, &error), BK_ERROR_CORRUPT);
    self->as = (BkSealAs){others, BK_SEAL_PACK, NAME};
    bk_keyring_add(others, 1, &secret);
    EXPECT_ERROR(unseal(self, &self->object, &error), BK_ERROR_CORRUPT);
    bk_keyring_add(others, 3, &secret); /* the right number, another key */
    EXPECT_ERROR(unseal(self, &self->object, &error), BK_ERROR_CORRUPT);
    self->as.keys = self->keys;
    EXPECT_DONE(unseal(self, &self->object, &error));
    self->object.data[8] = BK_SEAL_VERSION + 1;
    EXPECT_ERROR(unseal(self, &self->object, &error), BK_ERROR_UNSUPPORTED);
    EXPECT_ERROR(bk_seal_check(&self->object, &error), BK_ERROR_UNSUPPORTED);
    self->object.data[8] = 0;
    EXPECT_ERROR(unseal(self, &self->object, &error), BK_ERROR_CORRUPT);
}

/* One that a later program wrote is told from damage. */
static void
test_reserved_kinds(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    for (unsigned kind = BK_SEAL_KEY_SLOT; kind <= BK_SEAL_PROOF + 1; kind++) {
        bool is_reserved = kind >= BK_SEAL_WAL_STREAM && kind <= BK_SEAL_PROOF;

        g_assert_true(bk_seal_kind_is_reserved(kind) == is_reserved);
        g_assert_true((bk_seal_kind_name(kind) != NULL) == (kind <= BK_SEAL_PROOF));
        self->object.data[10] = (uint8_t)kind;
        if (kind != BK_SEAL_PACK)
            EXPECT_ERROR(unseal(self, &self->object, &error),
                         is_reserved ? BK_ERROR_UNSUPPORTED : BK_ERROR_CORRUPT);
    }
    g_assert_null(bk_seal_kind_name(0));
    self->object.data[10] = BK_SEAL_RUN;
    g_assert_false(unseal(self, &self->object, &error));
    g_assert_cmpstr(
        error->message, ==,
        "object is of kind 12 (run record), which needs a newer version of this program");
}

/* An object opens under its own name, also to one who has the key. */
static void
test_another_name(Fixture *self, const void *data)
{
    static const char *const names[] = {"orders/pack", "orders/packs/00", "web/packs", "x"};
    g_autoptr(GError) error = NULL;

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        BkFrame frame = {.data = self->object.data + self->frames[0],
                         .size = self->frames[1] - self->frames[0]};

        self->as.name = names[i];
        EXPECT_ERROR(unseal(self, &self->object, &error), BK_ERROR_CORRUPT);
        EXPECT_DONE(
            bk_opener_begin(self->opener, &self->as, self->object.data, self->object.size, &error));
        EXPECT_ERROR(bk_opener_frame(self->opener, &frame, &self->raw, &error), BK_ERROR_CORRUPT);
    }
    self->as.name = NAME;
    EXPECT_DONE(unseal(self, &self->object, &error));
}

/* Whoever chooses both keys could find frames that open under each: the header admits one key. */
static void
test_commitment(Fixture *self, const void *data)
{
    const BkSecret mine = {{42}}, other = {{43}};
    const uint8_t *salt = self->object.data + BK_SEAL_SALT_AT;
    uint8_t commitment[BK_SEAL_COMMIT_SIZE], differs[BK_SEAL_COMMIT_SIZE];
    BkSecret key;
    g_autoptr(GError) error = NULL;

    (void)data;
    bk_seal_commit(&mine, salt, BK_SEAL_PACK, commitment);
    EXPECT_BYTES(self->object.data + BK_SEAL_COMMIT_AT, sizeof commitment, commitment,
                 sizeof commitment);
    bk_seal_derive_key(&mine, salt, BK_SEAL_PACK, &key);
    g_assert_cmpint(memcmp(key.bytes, commitment, sizeof commitment), !=, 0);
    bk_seal_commit(&other, salt, BK_SEAL_PACK, differs);
    g_assert_cmpint(memcmp(differs, commitment, sizeof commitment), !=, 0);
    memcpy(self->object.data + BK_SEAL_COMMIT_AT, differs, sizeof differs);
    EXPECT_ERROR(
        bk_opener_begin(self->opener, &self->as, self->object.data, self->object.size, &error),
        BK_ERROR_CORRUPT);
}

/* The object is the same as if its first frame had been added first. */
static void
test_first_frame_last(Fixture *self, const void *data)
{
    g_autoptr(BkSealer) sealer = bk_sealer_new(BK_CODEC_STORED, 0);
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    uint8_t digest[BK_SHA256_SIZE], expected[BK_SHA256_SIZE];

    (void)data;
    EXPECT_DONE(bk_sealer_begin(sealer, &self->as, &object, &error));
    bk_sealer_skip_first(sealer);
    EXPECT_DONE(bk_sealer_add(sealer, "second", 6, false, &error));
    EXPECT_DONE(bk_sealer_add(sealer, "third", 5, true, &error));
    EXPECT_DONE(bk_sealer_add_first(sealer, "first", 5, &error));
    EXPECT_DONE(bk_sealer_finish(sealer, digest, &error));
    bk_sha256(object.data, object.size, expected);
    EXPECT_BYTES(digest, sizeof digest, expected, sizeof expected);
    EXPECT_DONE(bk_seal_check(&object, &error));
    EXPECT_DONE(unseal(self, &object, &error));
    EXPECT_BYTES(self->raw.data, self->raw.size, "firstsecondthird", (size_t)16);
}

static void
put_hex(BkBuf *out, const char *text)
{
    for (; *text != 0; text += 2)
        bk_wire_put_u8(
            out, (uint8_t)(g_ascii_xdigit_value(text[0]) * 16 + g_ascii_xdigit_value(text[1])));
}

/* That of docs/format.md, which was made by another program. */
static void
test_worked_example(Fixture *self, const void *data)
{
    static const char example[] = "424b5345414c4544"
                                  "0100"
                                  "0600"
                                  "01000000"
                                  "c5d3a18aecd3dc12b86eaf04cf615f97c4ee99a112d217582a2f7e8bb29acf75"
                                  "e815e3d3b111d567aa99a2a45583afad58e0df8fcc5ce743c4ec6d674ea1cfba"
                                  "0a000080"
                                  "eb26161fd7761e6a3beb"
                                  "808287a5a19b06543661e7095548084a"
                                  "6e00000000000000"
                                  "5000000000000000"
                                  "475a97c443ab0d6eaf275f5b1de9a0a1823b1140d55ad9d0f13953cd206d6626"
                                  "2407db0c40ace46fa0e255b94990b913";
    g_autoptr(BkKeyring) keys = bk_keyring_new();
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    BkSecret key;

    (void)data;
    for (size_t i = 0; i < sizeof key.bytes; i++)
        key.bytes[i] = (uint8_t)i;
    bk_keyring_add(keys, 1, &key);
    put_hex(&object, example);
    self->as =
        (BkSealAs){keys, BK_SEAL_WAL_FILE, "orders/wal/6B00EF4D4C9773AE/00000002/00000002.history"};
    EXPECT_DONE(unseal(self, &object, &error));
    EXPECT_BYTES(self->raw.data, self->raw.size, "hello", (size_t)5);
    EXPECT_DONE(bk_seal_check(&object, &error));
}

static void
test_limit(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_DONE(bk_unseal(self->opener, &self->as, &self->object, 309, &self->raw, &error));
    EXPECT_ERROR(bk_unseal(self->opener, &self->as, &self->object, 308, &self->raw, &error),
                 BK_ERROR_CORRUPT);
}

/* Without a key: every byte but those of the last tag, which only a key can prove. */
static void
test_check_without_key(Fixture *self, const void *data)
{
    size_t tag = self->object.size - BK_AEAD_TAG_SIZE;
    g_autoptr(GError) error = NULL;

    (void)data;
    for (size_t i = 0; i < self->object.size; i++) {
        self->object.data[i] ^= 1;
        g_assert_true(bk_seal_check(&self->object, &error) == (i >= tag));
        g_clear_error(&error);
        self->object.data[i] ^= 1;
    }
}

/* The digest that the sealer gives is that of the object, and nothing of the content shows. */
static void
test_digest_and_secrecy(Fixture *self, const void *data)
{
    static const char content[] = "a text that must not be seen in the object, not even once";
    g_autoptr(BkSealer) sealer = bk_sealer_new(BK_CODEC_STORED, 0);
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    uint8_t digest[BK_SHA256_SIZE];
    uint8_t expected[BK_SHA256_SIZE];

    (void)data;
    EXPECT_DONE(bk_sealer_begin(sealer, &self->as, &object, &error));
    EXPECT_DONE(bk_sealer_add(sealer, content, sizeof content, true, &error));
    EXPECT_DONE(bk_sealer_finish(sealer, digest, &error));
    bk_sha256(object.data, object.size, expected);
    EXPECT_BYTES(digest, sizeof digest, expected, sizeof expected);
    EXPECT_BYTES(bk_sealer_salt(sealer), (size_t)BK_SEAL_SALT_SIZE, object.data + BK_SEAL_SALT_AT,
                 BK_SEAL_SALT_SIZE);
    g_assert_null(memmem(object.data, object.size, content, 8));
    g_assert_cmpuint(object.size, ==,
                     BK_SEAL_HEADER_SIZE + BK_SEAL_FRAME_COST + sizeof content +
                         BK_SEAL_TRAILER_SIZE);
}

#define TEST(name, function) g_test_add(name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST("/seal/round-trip", test_round_trip);
    TEST("/seal/sizes", test_sizes);
    TEST("/seal/every-flipped-byte", test_every_flipped_byte);
    TEST("/seal/every-truncation", test_every_truncation);
    TEST("/seal/frames-rearranged", test_frames_rearranged);
    TEST("/seal/last-frame-mark-moved", test_last_frame_mark_moved);
    TEST("/seal/parts-of-another-object", test_parts_of_another_object);
    TEST("/seal/wrong-kind-generation-version", test_wrong_kind_generation_version);
    TEST("/seal/reserved-kinds", test_reserved_kinds);
    TEST("/seal/another-name", test_another_name);
    TEST("/seal/commitment", test_commitment);
    TEST("/seal/first-frame-last", test_first_frame_last);
    TEST("/seal/worked-example", test_worked_example);
    TEST("/seal/limit", test_limit);
    TEST("/seal/check-without-key", test_check_without_key);
    TEST("/seal/digest-and-secrecy", test_digest_and_secrecy);
    return g_test_run();
}
