#include "base/chunk_name.h"

namespace baton {

std::string chunk_display_name(std::string_view chunk_name) {
  constexpr std::string_view kEllipsis = "...";
  constexpr std::string_view kBefore = "[string \"";
  constexpr std::string_view kAfter = "\"]";
  chunk_name = chunk_name.substr(0, chunk_name.find('\0'));
  if (chunk_name.starts_with('=')) return std::string(chunk_name.substr(1, kDisplayNameBytes));
  if (chunk_name.starts_with('@')) {
    chunk_name.remove_prefix(1);
    if (chunk_name.size() <= kDisplayNameBytes) return std::string(chunk_name);
    std::string name(kEllipsis);
    return name.append(chunk_name.substr(chunk_name.size() - (kDisplayNameBytes - kEllipsis.size())));
  }
  // The ellipsis has its room reserved even where it is not needed: so the reference implementation counts.
  constexpr std::size_t kRoom = kDisplayNameBytes - kBefore.size() - kEllipsis.size() - kAfter.size();
  const std::string_view first_line = chunk_name.substr(0, chunk_name.find('\n'));
  const bool whole = first_line.size() == chunk_name.size() && chunk_name.size() < kRoom;
  std::string name(kBefore);
  name.append(first_line.substr(0, whole ? first_line.size() : kRoom));
  if (!whole) name.append(kEllipsis);
  return name.append(kAfter);
}

}  // namespace baton
