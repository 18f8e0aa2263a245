/* test-credential-answer.c - what endpoints answer, and whom a container's token may be shown. */
#include "expect.h"
#include "store/credentials/credentials-priv.h"

#define NOON_US (INT64_C(1795262400) * BK_USEC_PER_SEC) /* 2026-11-21T12:00:00Z */

typedef bool (*Read)(const BkBuf *body, BkCredentials *credentials, GError **error);

static BkBuf
buf_of(const char *text)
{
    return (BkBuf){(uint8_t *)(uintptr_t)text, strlen(text), 0};
}

static void
expect_answer(Read read, const char *text, const char *token, int64_t expires_us)
{
    const BkBuf body = buf_of(text);
    g_auto(BkCredentials) found = {0};
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(read(&body, &found, &error));
    g_assert_cmpstr(found.access_key, ==, "AKONE");
    g_assert_cmpstr(found.secret_key, ==, "HUSH/one");
    g_assert_cmpstr(found.session_token, ==, token);
    g_assert_cmpint(found.expires_us, ==, expires_us);
}

static void
expect_complaint(Read read, const char *text, const char *expected)
{
    const BkBuf body = buf_of(text);
    g_auto(BkCredentials) found = {0};
    g_autoptr(GError) error = NULL;

    g_assert_false(read(&body, &found, &error));
    g_assert_error(error, BK_ERROR, (int)BK_ERROR_STORE);
    g_assert_cmpstr(error->message, ==, expected);
    g_assert_null(found.access_key);
}

static void
test_json(void)
{
    const Read read = bk_credential_answer_read_json;

    expect_answer(read,
                  "{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"AKONE\","
                  "\"SecretAccessKey\":\"HUSH/one\",\"Token\":\"HUSHt\","
                  "\"Expiration\":\"2026-11-21T12:00:00Z\"}",
                  "HUSHt", NOON_US);
    expect_answer(read, "{\"AccessKeyId\":\"AKONE\",\"SecretAccessKey\":\"HUSH\\/one\"}", NULL, 0);
    expect_complaint(read, "", "the answer is not understood: not a JSON object");
    expect_complaint(read, "[]", "the answer is not understood: not a JSON object");
    expect_complaint(read, "{\"SecretAccessKey\":\"HUSH",
                     "the answer is not understood: not a JSON object");
    expect_complaint(read, "{\"AccessKeyId\":\"A\",\"AccessKeyId\":\"B\"}",
                     "the answer is not understood: not a JSON object");
    expect_complaint(read, "{\"Code\":\"AssumeRoleUnauthorizedAccess\"}",
                     "the answer reports \"AssumeRoleUnauthorizedAccess\"");
    expect_complaint(read, "{\"Code\":\"HUSH/1\"}",
                     "the answer reports \"an error without a code\"");
    expect_complaint(read, "{\"AccessKeyId\":\"AKONE\",\"SecretAccessKey\":7}",
                     "the answer is not understood: there is no secret key");
    expect_complaint(read, "{\"AccessKeyId\":\"A\\r\\nX: y\",\"SecretAccessKey\":\"HUSH\"}",
                     "the answer is not understood: the access key is malformed");
    expect_complaint(
        read,
        "{\"AccessKeyId\":\"AKONE\",\"SecretAccessKey\":\"HUSH\",\"Expiration\":\"tomorrow\"}",
        "the answer is not understood: the time of expiry is malformed");
}

#define XML_START                                                                                  \
    "<?xml version=\"1.0\"?>\n<AssumeRoleWithWebIdentityResponse "                                 \
    "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n<AssumeRoleWithWebIdentityResult>"
#define XML_END                                                                                    \
    "</AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>1</RequestId>"                 \
    "</ResponseMetadata></AssumeRoleWithWebIdentityResponse>\n"

static void
test_xml(void)
{
    const Read read = bk_credential_answer_read_xml;
    g_autoptr(GString) deep = g_string_new(NULL);

    expect_answer(read,
                  XML_START "<Audience>x</Audience><Credentials>\n<SessionToken>HUSH&amp;t"
                            "</SessionToken>\n<SecretAccessKey>HUSH<!-- -->/one</SecretAccessKey>"
                            "<Expiration>2026-11-21T12:00:00Z</Expiration>\n"
                            "<AccessKeyId>AKONE</AccessKeyId></Credentials>" XML_END,
                  "HUSH&t", NOON_US);
    expect_complaint(read, "", "the answer is not understood: not XML");
    expect_complaint(read, "{}", "the answer is not understood: not XML");
    expect_complaint(read, XML_START, "the answer is not understood: not XML");
    /* The names alone do not make it: they must be where they belong. */
    expect_complaint(read,
                     XML_START "<AccessKeyId>AKONE</AccessKeyId>"
                               "<SecretAccessKey>HUSH</SecretAccessKey>" XML_END,
                     "the answer is not understood: there is no access key");
    expect_complaint(read,
                     XML_START "<Credentials><AccessKeyId>A</AccessKeyId></Credentials>" XML_END,
                     "the answer is not understood: there is no secret key");
    for (unsigned i = 0; i < 17; i++)
        g_string_append(deep, "<a>");
    for (unsigned i = 0; i < 17; i++)
        g_string_append(deep, "</a>");
    expect_complaint(read, deep->str, "the answer is not understood: not XML");
}

static void
test_code_of_an_error(void)
{
    static const struct {
        const char *text;
        const char *code;
    } cases[] = {
        {"{\"code\":\"InvalidIdInRequest\",\"message\":\"HUSH\"}", "InvalidIdInRequest"},
        {"{\"Code\":\"Failed\"}", "Failed"},
        {"<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender"
         "</Type><Code>AccessDenied</Code><Message>HUSH</Message></Error></ErrorResponse>",
         "AccessDenied"},
        {"<Error><Code>AccessDenied</Code></Error>", "AccessDenied"},
        {"<Error><Code>HUSH 1</Code></Error>", NULL}, /* whatever it is, no code */
        {"{\"code\":\"\"}", NULL},
        {"<html>404</html>", NULL},
        {"", NULL},
    };
    const BkBuf empty = BK_BUF_INIT;

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const BkBuf body = buf_of(cases[i].text);
        g_autofree char *code = bk_credential_answer_find_code(&body);

        g_assert_cmpstr(code, ==, cases[i].code);
    }
    g_assert_null(bk_credential_answer_find_code(&empty));
}

static void
test_time(void)
{
    static const char *const same[] = {
        "2026-11-21T12:00:00Z",      "2026-11-21T12:00:00.123456Z", "2026-11-21T12:00:00+00:00",
        "2026-11-21T14:30:00+02:30", "2026-11-21T07:00:00-0500",
    };
    static const char *const wrong[] = {
        "",
        "2026-11-21",
        "2026-11-21T12:00:00",
        "2026-11-21 12:00:00Z",
        "2026-13-21T12:00:00Z",
        "2026-11-00T12:00:00Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T12:60:00Z",
        "2026-11-21T12:00:00Zx",
        "2026-11-21T12:00:00+1",
        "1969-11-21T12:00:00Z",
        "26-11-21T12:00:00Z",
        "-026-11-21T12:00:00Z",
        "1795262400",
    };
    int64_t time_us;

    for (size_t i = 0; i < G_N_ELEMENTS(same); i++) {
        g_assert_true(bk_credential_answer_parse_time(same[i], &time_us));
        g_assert_cmpint(time_us, ==, NOON_US);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++)
        g_assert_false(bk_credential_answer_parse_time(wrong[i], &time_us));
}

static void
test_urls_of_containers(void)
{
    static const char *const safe[] = {
        "https://example.org/x",
        "http://127.0.0.1/x",
        "http://127.8.9.1:8080",
        "http://localhost:51679/v2/credentials?id=1",
        "http://[::1]:80/x",
        "http://[::1]/x",
        "http://169.254.170.2/v2/credentials",
        "http://169.254.170.23/v1/credentials",
        "http://[fd00:ec2::23]/v1/credentials",
    };
    static const char *const unsafe[] = {
        "http://example.org/",
        "http://169.254.169.254/latest",
        "http://127.0.0.1@example.org/",
        "http://127.0.0.1:80@example.org/",
        "http://127.0.0.1.example.org/",
        "http://127.0.0.1\\@example.org/",
        "http://127.1/",
        "http://localhost.example.org/",
        "http://[::1]example.org/",
        "http://[::1",
        "http://::1/",
        "http://:80/",
        "http:///x",
        "http://",
        "https://",
        "https:///x",
        "https://HUSH@example.org/x",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "127.0.0.1",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/\r\nX: y",
        "",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(safe); i++)
        g_assert_true(bk_credential_answer_is_safe_url(safe[i]));
    for (size_t i = 0; i < G_N_ELEMENTS(unsafe); i++)
        g_assert_false(bk_credential_answer_is_safe_url(unsafe[i]));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/credential-answer/json", test_json);
    g_test_add_func("/credential-answer/xml", test_xml);
    g_test_add_func("/credential-answer/code-of-an-error", test_code_of_an_error);
    g_test_add_func("/credential-answer/time", test_time);
    g_test_add_func("/credential-answer/urls-of-containers", test_urls_of_containers);
    return g_test_run();
}
