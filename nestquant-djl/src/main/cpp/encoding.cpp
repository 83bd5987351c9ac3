#include <atomic>
#include <cstring>

#include "common.h"
#include "context.h"
#include "encode.h"
#include "jobs.h"

namespace nq {
namespace {

constexpr int ROWS = 16;

constexpr LatticeCode CODES[] = {
    {16, false, 4, {3, 4, 5, 7}, 0.0300},
    {16, true, 8, {3, 4, 5, 6, 7, 8, 10, 12}, 0.0294},
    {8, false, 4, {3, 4, 5, 7}, 0.0594},
    {8, true, 8, {3, 4, 5, 6, 7, 8, 10, 12}, 0.0588},
};

/** Below it the scale of a vector that stands alone is 0. */
constexpr double SMALLEST_SCALE = 1e-12;

/** Place of a_7's lowest bit, which holds that of the doubled coordinates, see LeaderWord.java. */
constexpr int PARITY_BIT = 28;

constexpr std::uint64_t EACH_BYTE = 0x0101010101010101u;
constexpr std::uint64_t EVEN_BYTES = 0x00FF00FF00FF00FFu;
constexpr std::uint32_t LOW_FIELDS = 0x07070707u;

/** The leader's eight coordinates as bytes. */
std::uint64_t bytesOf(const std::int8_t* y) {
    std::uint64_t bytes = 0;
    for (int i = 7; i >= 0; i--) {
        bytes = bytes << 8 | static_cast<std::uint8_t>(y[i]);
    }
    return bytes;
}

/** The word of a leader: modulo q, so that one that moves is where it moves from. */
std::uint32_t word(int width, std::uint64_t y) {
    std::uint64_t halves = y >> 1 & ((1u << width) - 1) * EACH_BYTE;
    std::uint32_t packed =
        static_cast<std::uint32_t>(halves) | static_cast<std::uint32_t>(halves >> 32) << 4;
    return (packed & ~(1u << PARITY_BIT)) | static_cast<std::uint32_t>(y & 1) << PARITY_BIT;
}

/** Whether a coordinate lies outside [-q, q), within twice that: its top bits differ. */
bool moves(int width, std::uint64_t y) {
    return ((y ^ y >> 1) >> width & EACH_BYTE) != 0;
}

/** The word of a leader's coset modulo 16·E8; the twin of NibbleWord.pack. */
std::uint32_t cosetWord(std::uint64_t y) {
    // 6 bits of floor(y/2) are enough for a coordinate and the parity of its wraps
    std::uint64_t halves = y >> 1 & 0x3F * EACH_BYTE;
    halves += (halves >> 8 & 8) * EACH_BYTE;
    std::uint64_t nibbles = halves & 0x0F * EACH_BYTE;
    std::uint64_t wraps = (halves + 8 * EACH_BYTE) >> 4 & EACH_BYTE;
    std::uint32_t odd = static_cast<std::uint32_t>(wraps * EACH_BYTE >> 56) & 1u;
    std::uint32_t packed =
        static_cast<std::uint32_t>(nibbles) | static_cast<std::uint32_t>(nibbles >> 32) << 4;
    return (packed ^ odd << PARITY_BIT) | static_cast<std::uint32_t>(y & 1) << 11;
}

void replace(std::int32_t& at, std::uint32_t mask, std::uint32_t bits) {
    at = static_cast<std::int32_t>((static_cast<std::uint32_t>(at) & ~mask) | bits);
}

/** Puts a word of three-bit coordinates into its group of four blocks; PackedCode.put. */
void put3(std::int32_t* tile, int block, std::uint32_t word) {
    std::int32_t* at = tile + block / 4 * 3 * ROWS;
    int member = block % 4;
    std::uint32_t low = word & LOW_FIELDS;
    std::uint32_t high = word >> 4 & LOW_FIELDS;
    if (member < 3) {
        replace(at[member * ROWS], 0x3F3F3F3Fu, low | high << 3);
        return;
    }
    replace(at[0], 0xC0C0C0C0u, low << 6 & 0xC0C0C0C0u);
    replace(at[ROWS], 0xC0C0C0C0u, high << 6 & 0xC0C0C0C0u);
    replace(at[2 * ROWS], 0xC0C0C0C0u, (low << 4 & 0x40404040u) | (high << 5 & 0x80808080u));
}

struct IntegersJob {
    const Level* level;
    Pool& pool;
    const LatticeCode& code;
    const float* x;
    int rows;
    int columns;
    std::int8_t* integers;
    float* scales;

    /** The first row that cannot be encoded, or `rows`. */
    std::atomic<int> bad;
};

void encodeVector(void* shared, int part) {
    IntegersJob& job = *static_cast<IntegersJob*>(shared);
    std::int64_t at = static_cast<std::int64_t>(part) * job.columns;
    if (!job.level->encodeVector(
            job.pool, job.code, job.x + at, job.columns,
            threadScratch(encodeBytes(job.columns)), job.integers + at, job.scales + part)) {
        int first = job.bad;
        while (part < first && !job.bad.compare_exchange_weak(first, part)) {
        }
    }
}

}  // namespace

const LatticeCode& latticeCode(int ordinal) {
    return CODES[ordinal];
}

float tensorScaleOf(const LatticeCode& code, double norm, int columns) {
    double scale = code.unit * __builtin_sqrt(norm / columns);
    return scale < SMALLEST_SCALE ? 0 : static_cast<float>(scale * 1024);
}

void decodeIntegers(const LatticeCode& code, int columns, EncodedRow& row) {
    for (int block = 0; block < columns / 8; block++) {
        // every other byte at a time, products modulo 256 with room for what is above
        std::uint64_t step = static_cast<std::uint64_t>(code.steps[row.indices[block]]);
        std::uint64_t bytes;
        std::memcpy(&bytes, row.points + 8 * block, 8);
        std::uint64_t even = (bytes & EVEN_BYTES) * step & EVEN_BYTES;
        std::uint64_t odd = (bytes >> 8 & EVEN_BYTES) * step & EVEN_BYTES;
        bytes = even | odd << 8;
        std::memcpy(row.points + 8 * block, &bytes, 8);
    }
}

void packRow(const PackedRows& to, int at, const EncodedRow& row) {
    const LatticeCode& code = CODES[to.code];
    int width = code.ratio == 16 ? 4 : 3;
    int blocks = to.columns / 8;
    std::int64_t ints = width == 4 ? blocks : (blocks + 3) / 4 * 3;
    std::int64_t tile = at / ROWS;
    int lane = at % ROWS;
    std::int32_t* words = to.words + tile * ints * ROWS + lane;
    std::uint8_t* betas = to.betas + tile * blocks * INDEX_BYTES;
    // two bytes of a group of six that hold the row's three bits
    int from = lane < 15 ? 3 * lane / 8 : 4;
    int shift = 3 * lane - 8 * from;
    for (int block = 0; block < blocks; block++) {
        std::uint64_t y = bytesOf(row.points + 8 * block);
        int index = row.indices[block] | (!code.dual && moves(width, y) ? 4 : 0);
        std::uint32_t packed = word(width, y);
        if (width == 4) {
            words[block * ROWS] = static_cast<std::int32_t>(packed);
        } else {
            put3(words, block, packed);
        }
        std::uint16_t indices;
        std::memcpy(&indices, betas + INDEX_BYTES * block + from, sizeof indices);
        indices = static_cast<std::uint16_t>((indices & ~(7 << shift)) | index << shift);
        std::memcpy(betas + INDEX_BYTES * block + from, &indices, sizeof indices);
    }
    to.exponents[at] = static_cast<std::uint8_t>(row.exponent);
}

void storeRow(const PackedRows& to, int at, const EncodedRow& row) {
    std::int64_t blocks = to.columns / 8;
    std::int64_t tile = at / ROWS;
    int lane = at % ROWS;
    std::int32_t* words = to.words + tile * blocks * ROWS + lane;
    std::int32_t* betas = reinterpret_cast<std::int32_t*>(to.betas) + tile * blocks;
    for (int block = 0; block < blocks; block++) {
        std::uint64_t y = bytesOf(row.points + 8 * block);
        words[block * ROWS] = static_cast<std::int32_t>(cosetWord(y));
        std::uint32_t index = row.indices[block];
        replace(betas[block], 3u << 2 * lane, index << 2 * lane);
    }
    to.exponents[at] = static_cast<std::uint8_t>(row.exponent);
}

std::int64_t encodeScratch(int columns) {
    return std::int64_t{columns / 8 + 15} / 16 * 16 * (12 + 3 + MAX_STEPS);
}

std::int64_t encodeBytes(int columns) {
    return 4 * encodeScratch(columns) + columns + columns / 8;
}

float* encodedRow(void* memory, int columns, EncodedRow& row) {
    float* scratch = static_cast<float*>(memory);
    row = {};
    row.points = reinterpret_cast<std::int8_t*>(scratch + encodeScratch(columns));
    row.indices = reinterpret_cast<std::uint8_t*>(row.points + columns);
    return scratch;
}

int encodeIntegers(
    Context& context,
    int code,
    const float* x,
    int rows,
    int columns,
    std::int8_t* integers,
    float* scales) {
    IntegersJob job = {
        context.level, context.pool, CODES[code], x, rows, columns, integers, scales, {rows}};
    context.pool.run(rows, encodeVector, &job);
    return job.bad == rows ? -1 : job.bad.load();
}

}  // namespace nq
