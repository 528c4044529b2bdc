// What nearly every test includes: the standard library and the framework, whose header is longer than all that is in front of
// it. Like standard_library.h beside it: parsed once for each program, never included by name.
#pragma once

#include "standard_library.h"

#include <catch2/catch.hpp>
