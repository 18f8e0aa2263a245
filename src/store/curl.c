#include "store/curl.h"

#include <dlfcn.h>
#include <pthread.h>

/* FUNCTION(type, name, parameters, arguments) */
#define FUNCTIONS                                                                                  \
    FUNCTION(CURLcode, curl_global_init, (long flags), (flags))                                    \
    FUNCTION(CURL *, curl_easy_init, (void), ())                                                   \
    FUNCTION(CURLcode, curl_easy_perform, (CURL * handle), (handle))                               \
    FUNCTION(const char *, curl_easy_strerror, (CURLcode code), (code))                            \
    FUNCTION(struct curl_slist *, curl_slist_append, (struct curl_slist * list, const char *text), \
             (list, text))

#define PROCEDURES                                                                                 \
    PROCEDURE(curl_easy_cleanup, (CURL * handle), (handle))                                        \
    PROCEDURE(curl_easy_reset, (CURL * handle), (handle))                                          \
    PROCEDURE(curl_slist_free_all, (struct curl_slist * list), (list))

/* NOLINTBEGIN(bugprone-macro-parentheses, readability-*) */
static struct {
#define FUNCTION(type, name, parameters, arguments) type(*name) parameters;
#define PROCEDURE(name, parameters, arguments)      void(*name) parameters;
    FUNCTIONS PROCEDURES
#undef FUNCTION
#undef PROCEDURE
        CURLcode (*setopt)(CURL *handle, CURLoption option, ...);
    CURLcode (*getinfo)(CURL *handle, CURLINFO info, ...);
} loaded;           /* set once, under the guard of `once` */
static char *cause; /* why it could not be loaded; likewise */

#define FUNCTION(type, name, parameters, arguments)                                                \
    type name parameters                                                                           \
    {                                                                                              \
        return loaded.name arguments;                                                              \
    }
#define PROCEDURE(name, parameters, arguments)                                                     \
    void name parameters                                                                           \
    {                                                                                              \
        loaded.name arguments;                                                                     \
    }
FUNCTIONS
PROCEDURES
#undef FUNCTION
#undef PROCEDURE
/* NOLINTEND(bugprone-macro-parentheses, readability-*) */

/* dlsym gives a pointer to data, which ISO C does not convert to one to a function. */
static void
find(void *library, const char *name, void *pointer)
{
    void *found = dlsym(library, name);

    if (found == NULL && cause == NULL)
        cause = g_strdup_printf("libcurl has no function \"%s\"", name);
    *(void **)pointer = found;
}

static void
load(void)
{
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);

    if (library == NULL) {
        cause = g_strdup_printf("load the library for buckets: %s", dlerror());
        return;
    }
#define FUNCTION(type, name, parameters, arguments) find(library, #name, &loaded.name);
#define PROCEDURE(name, parameters, arguments)      find(library, #name, &loaded.name);
    FUNCTIONS
    PROCEDURES
#undef FUNCTION
#undef PROCEDURE
    find(library, "curl_easy_setopt", &loaded.setopt);
    find(library, "curl_easy_getinfo", &loaded.getinfo);
    if (cause == NULL && loaded.curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        cause = g_strdup("libcurl cannot be initialised");
}

bool
bk_curl_load(GError **error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, load);
    return cause == NULL || bk_throw(error, BK_ERROR_SYSTEM, "%s", cause);
}

void
bk_curl_set_long(CURL *handle, CURLoption option, long value)
{
    CURLcode code = loaded.setopt(handle, option, value);

    g_assert(code == CURLE_OK);
}

void
bk_curl_set_offset(CURL *handle, CURLoption option, curl_off_t value)
{
    CURLcode code = loaded.setopt(handle, option, value);

    g_assert(code == CURLE_OK);
}

void
bk_curl_set_pointer(CURL *handle, CURLoption option, const void *value)
{
    CURLcode code = loaded.setopt(handle, option, value);

    g_assert(code == CURLE_OK);
}

void
bk_curl_set_function(CURL *handle, CURLoption option, BkCurlFunction value)
{
    CURLcode code = loaded.setopt(handle, option, value);

    g_assert(code == CURLE_OK);
}

long
bk_curl_get_long(CURL *handle, CURLINFO info)
{
    long value = 0;

    (void)loaded.getinfo(handle, info, &value);
    return value;
}

curl_off_t
bk_curl_get_offset(CURL *handle, CURLINFO info)
{
    curl_off_t value = 0;

    (void)loaded.getinfo(handle, info, &value);
    return value;
}
