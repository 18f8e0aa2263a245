/* object-kind.h - the kind of an object of a repository, by its name.
 *
 * Threads: functions have no state. */
#pragma once
#include "store/s3/s3.h"

/* For storage classes and locks: see store/s3/s3.h. */
BkObjectKind bk_object_kind(const char *name);
