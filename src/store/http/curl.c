/* curl.c - libcurl, loaded for the first request to a bucket. */
#include "store/http/curl.h"

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
find_curl_symbol(void *library, const char *name, void *pointer)
{
    void *found = dlsym(library, name);

    if (found == NULL && cause == NULL)
        cause = g_strdup_printf("libcurl has no function \"%s\"", name);
    *(void **)pointer = found;
}

static void
load_libcurl(void)
{
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);

    if (library == NULL) {
        cause = g_strdup_printf("load libcurl, which repositories in buckets need: %s", dlerror());
        return;
    }
#define FUNCTION(type, name, parameters, arguments) find_curl_symbol(library, #name, &loaded.name);
#define PROCEDURE(name, parameters, arguments)      find_curl_symbol(library, #name, &loaded.name);
    FUNCTIONS
    PROCEDURES
#undef FUNCTION
#undef PROCEDURE
    find_curl_symbol(library, "curl_easy_setopt", &loaded.setopt);
    find_curl_symbol(library, "curl_easy_getinfo", &loaded.getinfo);
    if (cause == NULL && loaded.curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        cause = g_strdup("libcurl cannot be initialized");
}

bool
bk_curl_load(GError **error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, load_libcurl);
    return cause == NULL || bk_throw(error, BK_ERROR_SYSTEM, "%s", cause);
}

/* The first refusal is kept: what comes after it may be its consequence. */
static void
note_code(BkCurlSetup *self, CURLoption option, CURLcode code)
{
    if (code == CURLE_OK || self->code != CURLE_OK)
        return;
    self->code = code;
    self->option = option;
}

void
bk_curl_set_long(BkCurlSetup *self, CURLoption option, long value)
{
    note_code(self, option, loaded.setopt(self->handle, option, value));
}

void
bk_curl_set_offset(BkCurlSetup *self, CURLoption option, curl_off_t value)
{
    note_code(self, option, loaded.setopt(self->handle, option, value));
}

void
bk_curl_set_pointer(BkCurlSetup *self, CURLoption option, const void *value)
{
    note_code(self, option, loaded.setopt(self->handle, option, value));
}

void
bk_curl_set_function(BkCurlSetup *self, CURLoption option, BkCurlFunction value)
{
    note_code(self, option, loaded.setopt(self->handle, option, value));
}

bool
bk_curl_check_setup(const BkCurlSetup *self, GError **error)
{
    return self->code == CURLE_OK ||
           bk_throw(error, BK_ERROR_SYSTEM, "libcurl refuses its option %d: %s", (int)self->option,
                    loaded.curl_easy_strerror(self->code));
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
