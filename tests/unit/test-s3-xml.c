/* test-s3-xml.c - answers of S3, as Amazon and others write them, and what is none. */
#include "expect.h"
#include "store/s3/s3-xml.h"

#include <string.h>

static BkBuf
text(const char *content)
{
    BkBuf body = BK_BUF_INIT;

    bk_buf_append(&body, content, strlen(content));
    return body;
}

static void
test_page(void)
{
    g_auto(BkBuf) body = text(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>"
        "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
        "<NextContinuationToken>a/b%2Fc</NextContinuationToken>"
        "<Contents><Key>a%2Fb+c%25</Key><LastModified>2026-11-24T10:00:00.250Z</LastModified>"
        "<ETag>&quot;x&quot;</ETag><Size>1234567890123</Size><Owner><ID>me</ID></Owner></Contents>"
        "<Contents><Size>0</Size><LastModified>1970-01-01T00:00:01Z</LastModified><Key>z</Key>"
        "</Contents><CommonPrefixes><Prefix>p%2F</Prefix></CommonPrefixes></ListBucketResult>");
    g_auto(BkS3Page) page = {0};
    g_autoptr(GError) error = NULL;
    const BkS3Entry *entry;

    EXPECT_DONE(bk_s3_xml_page(&body, &page, &error));
    g_assert_cmpuint(page.entries->len, ==, 2);
    entry = g_ptr_array_index(page.entries, 0);
    g_assert_cmpstr(entry->key, ==, "a/b c%");
    g_assert_cmpuint(entry->size, ==, UINT64_C(1234567890123));
    g_assert_cmpint(entry->modified_us, ==, INT64_C(1795514400250000));
    g_assert_null(entry->version);
    entry = g_ptr_array_index(page.entries, 1);
    g_assert_cmpstr(entry->key, ==, "z");
    g_assert_true(page.is_truncated);
    g_assert_cmpstr(page.next_token, ==, "a/b%2Fc");
    g_assert_cmpstr(g_ptr_array_index(page.prefixes, 0), ==, "p/");
}

static void
test_versions(void)
{
    g_auto(BkBuf) body =
        text("<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker>"
             "<NextVersionIdMarker>v</NextVersionIdMarker>"
             "<DeleteMarker><Key>k</Key><VersionId>3</VersionId>"
             "<LastModified>2026-11-24T10:00:00Z</LastModified></DeleteMarker>"
             "<Version><Key>k</Key><VersionId>2</VersionId><Size>5</Size>"
             "<LastModified>2026-11-24T10:00:00Z</LastModified></Version></ListVersionsResult>");
    g_auto(BkS3Page) page = {0};
    g_autoptr(GError) error = NULL;
    const BkS3Entry *entry;

    EXPECT_DONE(bk_s3_xml_page(&body, &page, &error));
    entry = g_ptr_array_index(page.entries, 0);
    g_assert_true(entry->is_marker);
    entry = g_ptr_array_index(page.entries, 1);
    g_assert_false(entry->is_marker);
    g_assert_cmpstr(entry->version, ==, "2");
    g_assert_cmpstr(page.next_key_marker, ==, "k");
    g_assert_cmpstr(page.next_version_marker, ==, "v");
}

static void
test_no_page(void)
{
    static const char *const cases[] = {
        "",
        "no xml",
        "<?xml version=\"1.0\"?>",
        "<!-- nothing else -->",
        "<ListBucketResult>",
        "<ListBucketResult><Contents></ListBucketResult>",
        "<Other></Other>",
        "<Other></Other><ListBucketResult></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><LastModified>2026-11-24T10:00:00Z</LastModified></Contents>"
        "</ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key><LastModified>noon</LastModified></Contents>"
        "</ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key><LastModified>2026-11-24T10:00:00Z</LastModified>"
        "<Size>-1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%zz</Key>"
        "<LastModified>2026-11-24T10:00:00Z</LastModified></Contents></ListBucketResult>",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a></"
        "a>"
        "</a></a></a></a></a></a></a>",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(BkBuf) body = text(cases[i]);
        g_auto(BkS3Page) page = {0};
        g_autoptr(GError) error = NULL;

        EXPECT_ERROR(bk_s3_xml_page(&body, &page, &error), BK_ERROR_STORE);
    }
}

static void
test_fault(void)
{
    g_auto(BkBuf) amazon =
        text("<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>It is "
             "&lt;gone&gt;</Message><Region>eu-west-1</Region></Error>");
    g_auto(BkBuf) ceph = text("<Error><Code>NoSuchBucket</Code><Message></Message></Error>");
    g_auto(BkBuf) other = text("<html><body>Bad gateway</body></html>");
    g_auto(BkBuf) empty = BK_BUF_INIT;
    g_auto(BkBuf) comment = text("<!-- nothing else -->");
    g_auto(BkS3Fault) fault = {0};

    g_assert_true(bk_s3_xml_is_fault(&amazon, &fault));
    g_assert_cmpstr(fault.code, ==, "NoSuchKey");
    g_assert_cmpstr(fault.message, ==, "It is <gone>");
    g_assert_cmpstr(fault.region, ==, "eu-west-1");
    g_assert_true(bk_s3_xml_is_fault(&ceph, &fault));
    g_assert_cmpstr(fault.code, ==, "NoSuchBucket");
    g_assert_cmpstr(fault.message, ==, "");
    g_assert_null(fault.region);
    g_assert_false(bk_s3_xml_is_fault(&other, &fault));
    g_assert_cmpstr(fault.code, ==, "");
    g_assert_false(bk_s3_xml_is_fault(&empty, &fault));
    g_assert_false(bk_s3_xml_is_fault(&comment, &fault));
}

static void
test_text(void)
{
    g_auto(BkBuf) body = text("<R><UploadId>2~x</UploadId><A><B>deep</B></A><ETag></ETag></R>");
    g_autoptr(GError) error = NULL;
    const struct {
        const char *path;
        const char *expected;
    } cases[] = {{"UploadId", "2~x"}, {"A/B", "deep"}, {"ETag", ""}, {"B", NULL}, {"R", NULL}};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *found = NULL;

        EXPECT_DONE(bk_s3_xml_text(&body, cases[i].path, &found, &error));
        g_assert_cmpstr(found, ==, cases[i].expected);
    }
}

static void
test_delete(void)
{
    g_auto(BkBuf) body = text("<DeleteResult><Deleted><Key>a</Key></Deleted><Error><Key>b</Key>"
                              "<Code>AccessDenied</Code></Error><Error></Error></DeleteResult>");
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    const BkS3Name names[] = {{"a&b", NULL}, {"c", "v1"}};
    g_auto(BkBuf) request = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    static const char expected[] =
        "<Delete><Quiet>true</Quiet><Object><Key>a&amp;b</Key></Object>"
        "<Object><Key>c</Key><VersionId>v1</VersionId></Object></Delete>";

    EXPECT_DONE(bk_s3_xml_delete_errors(&body, errors, &error));
    g_assert_cmpuint(errors->len, ==, 2);
    g_assert_cmpstr(g_ptr_array_index(errors, 0), ==, "b: AccessDenied");
    g_assert_cmpstr(g_ptr_array_index(errors, 1), ==, "?: ?");
    bk_s3_xml_put_delete(&request, names, 2);
    EXPECT_BYTES(request.data, request.size, (const uint8_t *)expected, strlen(expected));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/s3-xml/page", test_page);
    g_test_add_func("/s3-xml/versions", test_versions);
    g_test_add_func("/s3-xml/no-page", test_no_page);
    g_test_add_func("/s3-xml/fault", test_fault);
    g_test_add_func("/s3-xml/text", test_text);
    g_test_add_func("/s3-xml/delete", test_delete);
    return g_test_run();
}
