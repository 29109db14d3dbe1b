// Sets of small numbers.
#ifndef COPPICE_COMMON_SPEC_BITS_H_
#define COPPICE_COMMON_SPEC_BITS_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace coppice::spec {

// A set of numbers below a size that is fixed at construction. Sets that are combined must have the
// same size. An int holds any of the numbers, and -1 for none.
class Bits {
 public:
  explicit Bits(size_t size = 0) : words_((size + 63) / 64) {}

  static Bits AllBelow(size_t size) {
    Bits all(size);
    for (uint64_t& word : all.words_) word = ~uint64_t{0};
    if (size % 64 != 0) all.words_.back() = (uint64_t{1} << (size % 64)) - 1;
    return all;
  }

  void Add(size_t number) { words_[number / 64] |= uint64_t{1} << (number % 64); }
  bool Has(size_t number) const { return (words_[number / 64] >> (number % 64) & 1) != 0; }

  void AddAll(const Bits& others) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] |= others.words_[i];
  }
  void RemoveAll(const Bits& others) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] &= ~others.words_[i];
  }

  int Lowest() const {
    for (size_t i = 0; i < words_.size(); ++i) {
      if (words_[i] != 0) return static_cast<int>(i * 64) + std::countr_zero(words_[i]);
    }
    return -1;
  }
  // The greatest number that is in both sets.
  int HighestCommon(const Bits& others) const {
    for (size_t i = words_.size(); i-- > 0;) {
      const uint64_t common = words_[i] & others.words_[i];
      if (common != 0) return static_cast<int>(i * 64) + 63 - std::countl_zero(common);
    }
    return -1;
  }

 private:
  std::vector<uint64_t> words_;
};

}  // namespace coppice::spec

#endif  // COPPICE_COMMON_SPEC_BITS_H_
