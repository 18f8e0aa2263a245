/* curl.h - libcurl, loaded for the first request to a bucket.
 *
 * For the reason that libpq is (source/pg/cluster/libpq.h): the server starts this program for
 * every WAL segment, also where that goes into a directory. curl.c defines the functions that are
 * used as calls into the library; curl_easy_setopt and curl_easy_getinfo, which take anything, are
 * replaced by one function a type. Threads: functions are safe; a handle belongs to one thread at a
 * time. */
#pragma once
#include "base/error.h"

#include <curl/curl.h>

/* Loads the library, if that was not done yet. To be called before any of its functions. Fails with
 * BK_ERROR_SYSTEM. */
bool bk_curl_load(GError **error) BK_MUST_USE;

typedef void (*BkCurlFunction)(void);

/* Options that are set on a handle, one after the other: what the library answers to each. */
typedef struct BkCurlSetup {
    CURL *handle;
    CURLcode code; /* of the first option that was refused; CURLE_OK: none was */
    CURLoption option;
} BkCurlSetup;

void bk_curl_set_long(BkCurlSetup *self, CURLoption option, long value);
void bk_curl_set_offset(BkCurlSetup *self, CURLoption option, curl_off_t value);
void bk_curl_set_pointer(BkCurlSetup *self, CURLoption option, const void *value);
void bk_curl_set_function(BkCurlSetup *self, CURLoption option, BkCurlFunction value);

/* Fails with BK_ERROR_SYSTEM when any option was refused. */
bool bk_curl_check_setup(const BkCurlSetup *self, GError **error) BK_MUST_USE;

long bk_curl_get_long(CURL *handle, CURLINFO info);
curl_off_t bk_curl_get_offset(CURL *handle, CURLINFO info);
