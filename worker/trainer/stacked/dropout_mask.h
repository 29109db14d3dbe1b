// Dropout masks on the device, bit for bit those of model/dropout.h.
#ifndef COPPICE_WORKER_TRAINER_STACKED_DROPOUT_MASK_H_
#define COPPICE_WORKER_TRAINER_STACKED_DROPOUT_MASK_H_

#include "worker/trainer/model/dropout.h"
#include "worker/trainer/stacked/lanes.h"

namespace coppice::trainer {

// Philox4x32-10 (Salmon et al. 2011, table 2), with Random123's numbers. Host and device run these
// same lines; Random123 itself has a different implementation for each.
struct PhiloxWords {
  uint32_t word[4];
};

COPPICE_HOST_DEVICE inline PhiloxWords PhiloxBlock(PhiloxKey key, PhiloxWords c) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = static_cast<uint64_t>(0xD2511F53u) * c.word[0];
    const uint64_t product1 = static_cast<uint64_t>(0xCD9E8D57u) * c.word[2];
    c = {{static_cast<uint32_t>(product1 >> 32) ^ c.word[1] ^ key.low,
          static_cast<uint32_t>(product1),
          static_cast<uint32_t>(product0 >> 32) ^ c.word[3] ^ key.high,
          static_cast<uint32_t>(product0)}};
    key.low += 0x9E3779B9u;
    key.high += 0xBB67AE85u;
  }
  return c;
}

// The eight elements of a mask's row that share a Philox block: number n of the block decides
// element ElementOf(block, n). Eight lanes with neighboring blocks access neighboring elements.
COPPICE_HOST_DEVICE inline int64_t ElementOf(int64_t block, int n) {
  return block / 8 * 64 + n * 8 + block % 8;
}

// Bit n is set if element ElementOf(block, n) is kept.
COPPICE_HOST_DEVICE inline uint32_t KeptOfBlock(const Dropout& dropout, uint32_t site,
                                                uint32_t mask_row, int64_t block) {
  if (dropout.threshold == 0) return 0xff;
  const PhiloxWords words =
      PhiloxBlock(dropout.key, {{static_cast<uint32_t>(block), mask_row, dropout.step, site}});
  uint32_t kept = 0;
  for (int n = 0; n < 8; ++n) {
    const uint32_t number = (words.word[n / 2] >> (16 * (n % 2))) & 0xffff;
    kept |= static_cast<uint32_t>(number >= dropout.threshold) << n;
  }
  return kept;
}

// The same for one element.
COPPICE_HOST_DEVICE inline bool Keeps(const Dropout& dropout, uint32_t site, uint32_t mask_row,
                                      int64_t element) {
  const uint32_t kept = KeptOfBlock(dropout, site, mask_row, element / 64 * 8 + element % 8);
  return (kept >> (element % 64 / 8) & 1) != 0;
}

// Calls visit(element, kept) for each of the `width` elements of a mask's row. Blocks are divided
// among the lanes.
template <typename Lanes, typename F>
COPPICE_HOST_DEVICE inline void ForEachMasked(const Lanes& lanes, const Dropout& dropout,
                                              uint32_t site, uint32_t mask_row, int64_t width,
                                              F visit) {
  const int64_t blocks = (width + 63) / 64 * 8;
  for (int64_t block = lanes.lane(); block < blocks; block += lanes.size()) {
    const uint32_t kept = KeptOfBlock(dropout, site, mask_row, block);
    for (int n = 0; n < 8; ++n) {
      const int64_t element = ElementOf(block, n);
      if (element < width) visit(element, (kept >> n & 1) != 0);
    }
  }
}

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_DROPOUT_MASK_H_
