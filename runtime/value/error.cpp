#include "value/error.h"

namespace baton {

const char* error_text(ErrorId id) noexcept {
  switch (id) {
#define BATON_ERROR_MESSAGE(name, text) \
  case ErrorId::k##name: return text;
#include "value/error_messages.def"
#undef BATON_ERROR_MESSAGE
  }
  return "";
}

void raise(ErrorId id) { throw ScriptError(id); }

}  // namespace baton
