#include "cli/table.h"

#include <gtest/gtest.h>

namespace coppice::cli {
namespace {

TEST(Table, AlignsColumnsByTheirWidestCell) {
  Table table({{"name"}, {"value", Align::kRight}, {"note"}});
  table.AddRow({"a", "1", "first"});
  table.AddRow({"longer", "12345678", ""});
  table.AddRow({"\x1b[32m✓\x1b[0m", "7"});
  EXPECT_EQ(table.Render(),
            "name       value  note\n"
            "a              1  first\n"
            "longer  12345678\n"
            "\x1b[32m✓\x1b[0m              7\n");
}

TEST(Table, WrapsWideTablesIntoBlocksThatRepeatThePinnedColumn) {
  Table table({{"depth", Align::kRight}, {"seed 0"}, {"seed 1"}, {"seed 2"}});
  table.AddRow({"2", "aaaaaa", "bbbbbb", "cccccc"});
  EXPECT_EQ(table.Render(22),
            "depth  seed 0  seed 1\n"
            "    2  aaaaaa  bbbbbb\n"
            "\n"
            "depth  seed 2\n"
            "    2  cccccc\n");
}

TEST(Table, KeepsAColumnWiderThanTheLineWhole) {
  Table table({{"a"}, {"b"}});
  table.AddRow({"1", "a very long cell"});
  EXPECT_EQ(table.Render(8), "a  b\n1  a very long cell\n");
}

TEST(Table, ShowsItsHeaderWhenItHasNoRows) { EXPECT_EQ(Table({{"a"}, {"b"}}).Render(), "a  b\n"); }

}  // namespace
}  // namespace coppice::cli
