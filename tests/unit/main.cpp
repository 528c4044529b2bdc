// The entry point every unit test program shares: compiled apart, because the framework's own half is slow to compile.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
