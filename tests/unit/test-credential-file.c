/* test-credential-file.c - the shared credentials file: what others wrote is read, half a pair of
 * keys is refused, and a file that the configuration names must be private. */
#include "expect.h"
#include "store/credentials/credentials-priv.h"
#include "temp-dir.h"

#include <unistd.h>

#define KEYS "aws_access_key_id = AKONE\naws_secret_access_key = HUSHone\n"

static BkPlaceState
parse(const char *text, const char *profile, BkCredentials *credentials, char **note,
      GError **error)
{
    g_autofree char *copy = g_strdup(text);
    const BkBuf buf = {(uint8_t *)copy, strlen(text), 0};

    return bk_credential_file_parse(&buf, "/a/file", profile, credentials, note, error);
}

static void
expect_keys(const char *text, const char *profile, const char *access_key, const char *secret_key,
            const char *token)
{
    g_auto(BkCredentials) found = {0};
    g_autoptr(GError) error = NULL;
    g_autofree char *note = NULL;
    BkPlaceState state = parse(text, profile, &found, &note, &error);

    g_assert_no_error(error);
    g_assert_cmpint(state, ==, BK_PLACE_FULL);
    g_assert_cmpstr(found.access_key, ==, access_key);
    g_assert_cmpstr(found.secret_key, ==, secret_key);
    g_assert_cmpstr(found.session_token, ==, token);
    g_assert_cmpint(found.expires_us, ==, 0);
}

static void
expect_note(const char *text, const char *profile, const char *expected)
{
    g_auto(BkCredentials) found = {0};
    g_autoptr(GError) error = NULL;
    g_autofree char *note = NULL;
    BkPlaceState state = parse(text, profile, &found, &note, &error);

    g_assert_no_error(error);
    g_assert_cmpint(state, ==, BK_PLACE_EMPTY);
    g_assert_cmpstr(note, ==, expected);
    g_assert_null(found.access_key);
}

static void
expect_complaint(const char *text, const char *expected)
{
    g_auto(BkCredentials) found = {0};
    g_autoptr(GError) error = NULL;
    g_autofree char *note = NULL;
    BkPlaceState state = parse(text, "default", &found, &note, &error);

    g_assert_cmpint(state, ==, BK_PLACE_BROKEN);
    g_assert_error(error, BK_ERROR, (int)BK_ERROR_CONFIG);
    g_assert_cmpstr(error->message, ==, expected);
    g_assert_null(strstr(error->message, "HUSH"));
    g_assert_null(found.access_key);
    g_assert_null(note);
}

static void
test_profiles(void)
{
    static const char text[] = "# of three\n[default]\n" KEYS "\n[two]\n"
                               "aws_access_key_id=AKTWO\naws_secret_access_key=HUSH/two+=\n"
                               "aws_session_token=HUSHtoken==\nregion = eu-west-1\n"
                               "[profile three]\n; as in a file of settings\n"
                               "output = json\naws_secret_access_key = HUSHthree\n"
                               "aws_access_key_id = AKTHREE";

    expect_keys(text, "default", "AKONE", "HUSHone", NULL);
    expect_keys(text, "two", "AKTWO", "HUSH/two+=", "HUSHtoken==");
    expect_keys(text, "three", "AKTHREE", "HUSHthree", NULL);
    expect_note(text, "four", "\"/a/file\" has no profile \"four\"");
    expect_note(text, "Two", "\"/a/file\" has no profile \"Two\"");
    expect_note("", "default", "\"/a/file\" has no profile \"default\"");
    expect_note(KEYS, "default", "\"/a/file\" has no profile \"default\"");
    expect_note("[default]\nregion=x\n", "default",
                "profile \"default\" of \"/a/file\" has no aws_access_key_id");
}

/* Half of one and half of the other would be nobody's keys. */
static void
test_plain_name_wins_whole(void)
{
    expect_keys("[profile default]\naws_access_key_id=AKNOT\naws_secret_access_key=HUSHnot\n"
                "aws_session_token=HUSHtoken\n[default]\n" KEYS,
                "default", "AKONE", "HUSHone", NULL);
    expect_note("[profile default]\n" KEYS "[default]\n", "default",
                "profile \"default\" of \"/a/file\" has no aws_access_key_id");
}

static void
test_white_space_and_comments(void)
{
    expect_keys("\xef\xbb\xbf[default]\r\naws_access_key_id = AKONE\r\n\r\n"
                "aws_secret_access_key\t=\tHUSHone \t\r\n",
                "default", "AKONE", "HUSHone", NULL);
    expect_keys("[ default ]  # mine\n  aws_access_key_id = AKONE\n"
                "  aws_secret_access_key = HUSH#one # the old one\n\t; end\n",
                "default", "AKONE", "HUSH#one", NULL);
    expect_keys(
        "[default]\nAWS_Access_Key_ID = AKONE ; of 2026\naws_secret_access_key = HUSH=;one\n"
        "aws_session_token =\n",
        "default", "AKONE", "HUSH=;one", NULL);
    expect_keys("[\tprofile \t a b ]\n" KEYS, "a b", "AKONE", "HUSHone", NULL);
    expect_keys("[default]\n" KEYS "s3 =\n  max_concurrent_requests = 20\n  [nested]\n", "default",
                "AKONE", "HUSHone", NULL);
    /* A section may be continued further down. */
    expect_keys(
        "[default]\naws_access_key_id = AKONE\n[two]\naws_access_key_id = AKTWO\n[default]\n"
        "aws_secret_access_key = HUSHone\n",
        "default", "AKONE", "HUSHone", NULL);
}

static void
test_what_is_wrong_is_said(void)
{
    expect_complaint("[default]\naws_access_key_id = AKONE\n",
                     "profile \"default\" of \"/a/file\": there is no secret key");
    expect_complaint("[default]\naws_secret_access_key = HUSHone\n",
                     "profile \"default\" of \"/a/file\": there is no access key");
    expect_complaint("[default]\naws_access_key_id =\naws_secret_access_key = HUSHone\n",
                     "profile \"default\" of \"/a/file\": there is no access key");
    expect_complaint("[default]\naws_access_key_id = AK ONE\naws_secret_access_key = HUSHone\n",
                     "profile \"default\" of \"/a/file\": the access key is malformed");
    expect_complaint("[default]\naws_access_key_id = AKONE\naws_secret_access_key = HUSH one\n",
                     "profile \"default\" of \"/a/file\": the secret key is malformed");
    expect_complaint("[default]\n" KEYS "aws_session_token = HUSH\x01\n",
                     "profile \"default\" of \"/a/file\": the session token is malformed");
    expect_complaint("[default\n" KEYS, "\"/a/file\", line 1: \"[\" without \"]\"");
    expect_complaint("[default] HUSH\n" KEYS,
                     "\"/a/file\", line 1: text other than a comment after \"]\"");
    expect_complaint("[default]\n" KEYS "HUSHtwo\n",
                     "\"/a/file\", line 4: is neither \"[profile]\" nor \"key = value\"");
    expect_complaint("[default]\n" KEYS "aws_secret_access_key = HUSHtwo\n",
                     "\"/a/file\", line 4: is given twice in this profile");
    expect_complaint("[default]\n" KEYS "  HUSHtwo\n",
                     "\"/a/file\", line 4: continues a value that must be on one line");
    /* Of another profile such a line is nobody's business here. */
    expect_keys("[other]\nnonsense\n[default]\n" KEYS, "default", "AKONE", "HUSHone", NULL);
}

static void
test_bounds(void)
{
    g_autofree char *key = g_strnfill(513, 'A');
    g_autofree char *text =
        g_strdup_printf("[default]\naws_access_key_id=%s\naws_secret_access_key=HUSHone\n", key);
    const BkBuf zero = {(uint8_t *)(uintptr_t) "[default]\na\0b=c\n", 16, 0};
    g_auto(BkCredentials) found = {0};
    g_autoptr(GError) error = NULL;
    g_autofree char *note = NULL;

    expect_complaint(text, "profile \"default\" of \"/a/file\": the access key is malformed");
    g_assert_cmpint(bk_credential_file_parse(&zero, "/a/file", "default", &found, &note, &error),
                    ==, BK_PLACE_BROKEN);
    g_assert_error(error, BK_ERROR, (int)BK_ERROR_CONFIG);
    g_assert_cmpstr(error->message, ==, "\"/a/file\", line 2: it contains a zero byte");
}

typedef struct Fixture {
    char *dir;
    char *path;
    BkCredentialWish wish;
    BkCredentials found;
    char *note;
} Fixture;

static void
set_up(Fixture *self, const void *data)
{
    (void)data;
    g_unsetenv("AWS_PROFILE");
    g_unsetenv("AWS_SHARED_CREDENTIALS_FILE");
    self->dir = temp_dir_new();
    self->path = g_build_filename(self->dir, "credentials", NULL);
    self->wish.file = self->path;
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    bk_credentials_clear(&self->found);
    g_free(self->note);
    g_free(self->path);
    temp_dir_free(self->dir);
}

static void
write_file(const Fixture *self, const char *text, mode_t mode)
{
    g_assert_true(g_file_set_contents(self->path, text, -1, NULL));
    g_assert_cmpint(chmod(self->path, mode), ==, 0);
}

static BkPlaceState
ask(Fixture *self, BkPlaceAsk function, GError **error)
{
    bk_credentials_clear(&self->found);
    g_clear_pointer(&self->note, g_free);
    return function(&self->wish, &self->found, &self->note, NULL, error);
}

static void
expect_refusal(Fixture *self, BkPlaceAsk function, const char *source_repo)
{
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(ask(self, function, &error), ==, BK_PLACE_BROKEN);
    g_assert_error(error, BK_ERROR, (int)BK_ERROR_CONFIG);
    g_assert_nonnull(strstr(error->message, source_repo));
    g_assert_nonnull(strstr(error->message, self->path));
    g_assert_null(strstr(error->message, "HUSH"));
}

static void
test_named_file_is_private(Fixture *self, const void *data)
{
    static const mode_t unsafe[] = {0644, 0640, 0620, 0601};
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_cmpint(ask(self, bk_credential_file_ask, &error), ==, BK_PLACE_EMPTY);
    g_assert_nonnull(strstr(self->note, self->path));
    for (size_t i = 0; i < G_N_ELEMENTS(unsafe); i++) {
        write_file(self, "[default]\n" KEYS, unsafe[i]);
        expect_refusal(self, bk_credential_file_ask, "can be read by others");
    }
    write_file(self, "[default]\n" KEYS, 0400);
    g_assert_cmpint(ask(self, bk_credential_file_ask, &error), ==, BK_PLACE_FULL);
    g_assert_no_error(error);
    g_assert_cmpstr(self->found.access_key, ==, "AKONE");
    if (geteuid() == 0) { /* nobody else can give a file away */
        g_assert_cmpint(chown(self->path, 4321, 4321), ==, 0);
        expect_refusal(self, bk_credential_file_ask, "belongs neither to this user nor to root");
    }
}

static void
test_what_is_no_file(Fixture *self, const void *data)
{
    (void)data;
    g_assert_cmpint(mkdir(self->path, 0700), ==, 0);
    expect_refusal(self, bk_credential_file_ask, "is not a regular file");
    g_assert_cmpint(rmdir(self->path), ==, 0);
    g_assert_cmpint(mkfifo(self->path, 0600), ==, 0);
    expect_refusal(self, bk_credential_file_ask, "is not a regular file");
    g_assert_cmpint(unlink(self->path), ==, 0);
    write_file(self, "[default]\n" KEYS, 0600);
    g_assert_cmpint(truncate(self->path, BK_MIB + 1), ==, 0);
    expect_refusal(self, bk_credential_file_ask, "is larger than");
}

static void
test_shared_file(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    g_setenv("AWS_SHARED_CREDENTIALS_FILE", self->path, TRUE);
    g_assert_cmpint(ask(self, bk_credential_file_ask_shared, &error), ==, BK_PLACE_EMPTY);
    write_file(self, "[default]\n" KEYS "[two]\naws_access_key_id=A2\naws_secret_access_key=S2\n",
               0600);
    g_assert_cmpint(ask(self, bk_credential_file_ask_shared, &error), ==, BK_PLACE_FULL);
    g_assert_cmpstr(self->found.access_key, ==, "AKONE");
    g_setenv("AWS_PROFILE", "two", TRUE);
    g_assert_cmpint(ask(self, bk_credential_file_ask_shared, &error), ==, BK_PLACE_FULL);
    g_assert_cmpstr(self->found.access_key, ==, "A2");
    self->wish.profile = (char *)(uintptr_t) "default"; /* before the variable */
    g_assert_cmpint(ask(self, bk_credential_file_ask_shared, &error), ==, BK_PLACE_FULL);
    g_assert_cmpstr(self->found.access_key, ==, "AKONE");
    g_assert_false(self->wish.has_warned);
    /* Who asks for a profile by name must not get another's keys. */
    self->wish.profile = (char *)(uintptr_t) "three";
    g_assert_cmpint(ask(self, bk_credential_file_ask_shared, &error), ==, BK_PLACE_BROKEN);
    g_assert_error(error, BK_ERROR, (int)BK_ERROR_DENIED);
    g_assert_null(self->note);
}

static void
test_home(Fixture *self, const void *data)
{
    g_autofree char *home = g_strdup(g_getenv("HOME"));
    g_autofree char *directory = g_build_filename(self->dir, ".aws", NULL);
    g_autoptr(GError) error = NULL;

    (void)data;
    g_setenv("HOME", self->dir, TRUE);
    g_assert_cmpint(mkdir(directory, 0700), ==, 0);
    g_free(self->path);
    self->path = g_build_filename(directory, "credentials", NULL);
    write_file(self, "[default]\n" KEYS, 0600);
    g_assert_cmpint(ask(self, bk_credential_file_ask_shared, &error), ==, BK_PLACE_FULL);
    bk_credentials_clear(&self->found);
    g_setenv("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", TRUE);
    g_assert_cmpint(ask(self, bk_credential_file_ask_shared, &error), ==, BK_PLACE_FULL);
    g_assert_cmpstr(self->found.access_key, ==, "AKONE");
    if (home != NULL)
        g_setenv("HOME", home, TRUE);
    else
        g_unsetenv("HOME");
}

#define FILE_TEST(name, function)                                                                  \
    g_test_add("/credential-file/" name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/credential-file/profiles", test_profiles);
    g_test_add_func("/credential-file/plain-name-wins-whole", test_plain_name_wins_whole);
    g_test_add_func("/credential-file/white-space-and-comments", test_white_space_and_comments);
    g_test_add_func("/credential-file/what-is-wrong-is-said", test_what_is_wrong_is_said);
    g_test_add_func("/credential-file/bounds", test_bounds);
    FILE_TEST("named-file-is-private", test_named_file_is_private);
    FILE_TEST("what-is-no-file", test_what_is_no_file);
    FILE_TEST("shared-file", test_shared_file);
    FILE_TEST("home", test_home);
    return g_test_run();
}
