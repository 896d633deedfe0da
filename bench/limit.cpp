// The limit the worker is measured against: the same work for unquoted rows with nothing but the standard library, in
// blocks of 1 MiB on one core. usage: limit input.csv output.csv
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

int main(int count, char **names) {
  if (count != 3) return 64;
  std::FILE *in = std::fopen(names[1], "rb"), *out = std::fopen(names[2], "wb");
  if (!in || !out) return 75;
  constexpr std::size_t block = 1 << 20;
  std::vector<char> input(2 * block), output(12 * block);
  std::uint64_t state = 0x9e3779b97f4a7c15;
  bool header = true;
  std::size_t left = 0;
  for (;;) {
    const std::size_t got = std::fread(input.data() + left, 1, block, in);
    if (got == 0) break;
    const char *at = input.data(), *const end = at + left + got;
    char *to = output.data();
    while (const char *lf = static_cast<const char *>(std::memchr(at, '\n', end - at))) {
      std::memcpy(to, at, lf - at);
      to += lf - at;
      if (header) {
        std::memcpy(to, ",ProcessedValue", 15);
        to += 15;
        header = false;
      } else {
        const char *comma = static_cast<const char *>(std::memchr(at, ',', lf - at));
        double value;
        if (!comma || std::from_chars(comma + 1, lf, value).ptr != lf) return 65;
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        *to++ = ',';
        to = std::to_chars(to, to + 32, value * (0.8 + 0.4 * static_cast<double>(state >> 11) / 9007199254740992.0)).ptr;
      }
      *to++ = '\n';
      at = lf + 1;
    }
    std::fwrite(output.data(), 1, to - output.data(), out);
    left = end - at;
    if (left > block) return 65;
    std::memmove(input.data(), at, left);
  }
  return std::fclose(out) == 0 ? 0 : 75;
}
