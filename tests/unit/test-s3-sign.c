/* test-s3-sign.c - the signature of requests: Amazon's published examples and test vectors. */
#include "store/credentials/s3-sign.h"

#include <string.h>

/* "Authenticating Requests: Using the Authorization Header", examples. */
static const BkS3Credentials example = {"AKIAIOSFODNN7EXAMPLE",
                                        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", NULL};
#define EXAMPLE_HOST    "examplebucket.s3.amazonaws.com"
#define EXAMPLE_TIME_US (INT64_C(1369353600) * BK_USEC_PER_SEC) /* 2013-05-24 00:00:00 UTC */

/* The test suite of Signature Version 4. */
static const BkS3Credentials suite = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                                      NULL};
#define SUITE_TIME_US (INT64_C(1440938160) * BK_USEC_PER_SEC) /* 2015-08-30 12:36:00 UTC */

static const char *
find_header(char **headers, const char *name)
{
    g_autofree char *start = g_strconcat(name, ": ", NULL);

    for (size_t i = 0; headers[i] != NULL; i++)
        if (g_str_has_prefix(headers[i], start))
            return headers[i] + strlen(start);
    return NULL;
}

static void
assert_signature(const BkS3Request *request, const BkS3Credentials *credentials, const char *names,
                 const char *signature)
{
    g_auto(GStrv) headers = bk_s3_sign(request, credentials);
    const char *authorization = find_header(headers, "Authorization");
    g_autofree char *signed_names = g_strdup_printf("SignedHeaders=%s, ", names);

    g_assert_nonnull(authorization);
    g_assert_nonnull(strstr(authorization, signed_names));
    g_assert_cmpstr(strrchr(authorization, '=') + 1, ==, signature);
}

static BkS3Request
example_request(const char *method, const char *path)
{
    return (BkS3Request){
        .method = method,
        .host = EXAMPLE_HOST,
        .path = path,
        .region = "us-east-1",
        .service = "s3",
        .time_us = EXAMPLE_TIME_US,
    };
}

static void
test_get_of_a_range(void)
{
    static const BkS3Parameter headers[] = {{"range", "bytes=0-9"}};
    BkS3Request request = example_request("GET", "/test.txt");

    request.headers = headers;
    request.header_count = 1;
    assert_signature(&request, &example, "host;range;x-amz-content-sha256;x-amz-date",
                     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void
test_put(void)
{
    static const BkS3Parameter headers[] = {{"x-amz-storage-class", "REDUCED_REDUNDANCY"},
                                            {"date", "Fri, 24 May 2013 00:00:00 GMT"}};
    BkS3Request request = example_request("PUT", "/test$file.text");
    uint8_t digest[BK_SHA256_SIZE];
    g_autofree char *target = bk_s3_encode_target(&request);

    bk_sha256("Welcome to Amazon S3.", 21, digest);
    request.payload_sha256 = digest;
    request.headers = headers;
    request.header_count = 2;
    g_assert_cmpstr(target, ==, "/test%24file.text");
    assert_signature(&request, &example,
                     "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void
test_get_of_what_is_set(void)
{
    static const BkS3Parameter parameters[] = {{"lifecycle", ""}};
    BkS3Request request = example_request("GET", "/");
    g_autofree char *target = NULL;

    request.parameters = parameters;
    request.parameter_count = 1;
    target = bk_s3_encode_target(&request);
    g_assert_cmpstr(target, ==, "/?lifecycle=");
    assert_signature(&request, &example, "host;x-amz-content-sha256;x-amz-date",
                     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

static void
test_list(void)
{
    static const BkS3Parameter parameters[] = {{"prefix", "J"}, {"max-keys", "2"}};
    BkS3Request request = example_request("GET", "/");
    g_autofree char *target = NULL;

    request.parameters = parameters;
    request.parameter_count = 2;
    target = bk_s3_encode_target(&request);
    g_assert_cmpstr(target, ==, "/?max-keys=2&prefix=J");
    assert_signature(&request, &example, "host;x-amz-content-sha256;x-amz-date",
                     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static BkS3Request
suite_request(const char *method)
{
    return (BkS3Request){
        .method = method,
        .host = "example.amazonaws.com",
        .path = "/",
        .region = "us-east-1",
        .service = "service",
        .time_us = SUITE_TIME_US,
    };
}

static void
test_suite(void)
{
    static const BkS3Parameter in_order[] = {{"Param2", "value2"}, {"Param1", "value1"}};
    static const BkS3Parameter unreserved[] = {
        {"-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
         "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"}};
    static const BkS3Parameter trimmed[] = {{"my-header1", " value1"},
                                            {"my-header2", " \"a   b   c\""}};
    BkS3Request request = suite_request("GET");

    assert_signature(&request, &suite, "host;x-amz-date",
                     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    request = suite_request("POST");
    assert_signature(&request, &suite, "host;x-amz-date",
                     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
    request = suite_request("GET");
    request.parameters = in_order;
    request.parameter_count = 2;
    assert_signature(&request, &suite, "host;x-amz-date",
                     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
    request.parameters = unreserved;
    request.parameter_count = 1;
    assert_signature(&request, &suite, "host;x-amz-date",
                     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197");
    request.parameter_count = 0;
    request.headers = trimmed;
    request.header_count = 2;
    assert_signature(&request, &suite, "host;my-header1;my-header2;x-amz-date",
                     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");
}

static void
test_scope_and_token(void)
{
    const BkS3Credentials passing = {"ASIAEXAMPLE", "secret", "a+token/="};
    BkS3Request request = example_request("DELETE", "/a b/ü");
    g_auto(GStrv) headers = NULL;
    g_autofree char *target = bk_s3_encode_target(&request);

    request.region = "eu-central-1";
    headers = bk_s3_sign(&request, &passing);
    g_assert_cmpstr(target, ==, "/a%20b/%C3%BC");
    g_assert_true(g_str_has_prefix(
        find_header(headers, "Authorization"),
        "AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE/20130524/eu-central-1/s3/aws4_request, "
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature="));
    g_assert_cmpstr(find_header(headers, "x-amz-security-token"), ==, "a+token/=");
    g_assert_cmpstr(find_header(headers, "x-amz-date"), ==, "20130524T000000Z");
    g_assert_cmpstr(find_header(headers, "host"), ==, EXAMPLE_HOST);
}

static void
test_anonymous(void)
{
    BkS3Request request = example_request("GET", "/public");
    g_auto(GStrv) headers = bk_s3_sign(&request, NULL);

    g_assert_null(find_header(headers, "Authorization"));
    g_assert_null(find_header(headers, "x-amz-date"));
    g_assert_nonnull(find_header(headers, "x-amz-content-sha256"));
}

/* By name, though '-' sorts lower than what ends a name. */
static void
test_headers_are_sorted_by_name(void)
{
    static const BkS3Parameter headers[] = {{"x-amz-tag-b", "1"}, {"x-amz-tag", "2"}};
    BkS3Request request = example_request("GET", "/");
    g_auto(GStrv) lines = NULL;

    request.headers = headers;
    request.header_count = 2;
    lines = bk_s3_sign(&request, &example);
    g_assert_nonnull(strstr(find_header(lines, "Authorization"), ";x-amz-tag;x-amz-tag-b,"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/s3-sign/get-of-a-range", test_get_of_a_range);
    g_test_add_func("/s3-sign/put", test_put);
    g_test_add_func("/s3-sign/get-of-what-is-set", test_get_of_what_is_set);
    g_test_add_func("/s3-sign/list", test_list);
    g_test_add_func("/s3-sign/suite", test_suite);
    g_test_add_func("/s3-sign/scope-and-token", test_scope_and_token);
    g_test_add_func("/s3-sign/anonymous", test_anonymous);
    g_test_add_func("/s3-sign/headers-are-sorted-by-name", test_headers_are_sorted_by_name);
    return g_test_run();
}
