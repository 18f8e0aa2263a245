/* curl.h - libcurl, loaded when a bucket is first spoken to.
 *
 * For the reason that libpq is (source/pg/libpq.h): the server starts this program for every WAL
 * segment, also where that goes into a directory. curl.c defines the functions that are used as
 * calls into the library; curl_easy_setopt and curl_easy_getinfo, which take anything, are replaced
 * by one function a type. Threads: functions are safe; a handle belongs to one thread at a time. */
#pragma once
#include "base/error.h"

#include <curl/curl.h>

/* Loads the library, if that was not done yet. To be called before any of its functions. Fails with
 * BK_ERROR_SYSTEM. */
bool bk_curl_load(GError **error) BK_MUST_USE;

typedef void (*BkCurlFunction)(void);

/* An option that the library does not know is a programming mistake. */
void bk_curl_set_long(CURL *handle, CURLoption option, long value);
void bk_curl_set_offset(CURL *handle, CURLoption option, curl_off_t value);
void bk_curl_set_pointer(CURL *handle, CURLoption option, const void *value);
void bk_curl_set_function(CURL *handle, CURLoption option, BkCurlFunction value);

long bk_curl_get_long(CURL *handle, CURLINFO info);
curl_off_t bk_curl_get_offset(CURL *handle, CURLINFO info);
