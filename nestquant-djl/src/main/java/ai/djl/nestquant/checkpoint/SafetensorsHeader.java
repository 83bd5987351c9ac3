package ai.djl.nestquant.checkpoint;

import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import java.io.IOException;
import java.io.StringReader;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * Parses and validates the JSON header of a safetensors file.
 *
 * <p>The header is one UTF-8 JSON object {@code {"name": {"dtype", "shape", "data_offsets": [begin,
 * end)}}} with an optional {@code __metadata__} of strings; the ranges must tile the data section
 * without overlap or hole. One instance parses one header on one thread.
 */
final class SafetensorsHeader {

    private static final String METADATA = "__metadata__";

    /** 18 digits always fit a long; no sizes of that order exist. */
    private static final Pattern SIZE = Pattern.compile("[0-9]{1,18}");

    private final Path file;
    private final long dataStart;
    private final long dataLength;
    private final Map<String, Range> ranges = new LinkedHashMap<>();
    private Map<String, String> metadata = Map.of();

    /** A tensor with its place {@code [begin, end)} relative to the data section. */
    private record Range(TensorInfo tensor, long begin, long end) {}

    private SafetensorsHeader(Path file, long dataStart, long dataLength) {
        this.file = file;
        this.dataStart = dataStart;
        this.dataLength = dataLength;
    }

    /**
     * Parses a header.
     *
     * @param file the file, for messages
     * @param json the bytes of the header
     * @param dataStart the offset of the data section in the file, in bytes
     * @param dataLength the length of the data section, in bytes
     * @return the validated header
     * @throws CheckpointException if anything is not as the format demands
     */
    static SafetensorsHeader parse(Path file, ByteBuffer json, long dataStart, long dataLength)
            throws CheckpointException {
        SafetensorsHeader header = new SafetensorsHeader(file, dataStart, dataLength);
        if (!json.hasRemaining() || json.get(json.position()) != '{') {
            throw new CheckpointException(file + ": offset 8: the header does not start with '{'");
        }
        try (JsonReader reader = new JsonReader(new StringReader(decode(file, json)))) {
            reader.setStrictness(Strictness.STRICT);
            header.readTensors(reader);
        } catch (IOException | IllegalStateException | NumberFormatException e) {
            throw new CheckpointException(
                    file + ": the header is not valid JSON: " + e.getMessage(), e);
        }
        header.checkTiling();
        return header;
    }

    /** Returns the tensors by name in the order of their offsets; unmodifiable. */
    Map<String, TensorInfo> tensors() {
        Map<String, TensorInfo> tensors = new LinkedHashMap<>();
        for (Range range : byOffset()) {
            tensors.put(range.tensor.name(), range.tensor);
        }
        return Collections.unmodifiableMap(tensors);
    }

    /** Returns the free-form metadata; unmodifiable. */
    Map<String, String> metadata() {
        return metadata;
    }

    private static String decode(Path file, ByteBuffer json) throws CheckpointException {
        try {
            // a new decoder reports malformed input instead of replacing it
            return StandardCharsets.UTF_8.newDecoder().decode(json).toString();
        } catch (CharacterCodingException e) {
            throw new CheckpointException(file + ": the header is not valid UTF-8", e);
        }
    }

    private void readTensors(JsonReader reader) throws IOException, CheckpointException {
        boolean seenMetadata = false;
        reader.beginObject();
        while (reader.hasNext()) {
            String name = reader.nextName();
            if (METADATA.equals(name)) {
                if (seenMetadata) {
                    throw new CheckpointException(file + ": duplicate key '" + METADATA + "'");
                }
                seenMetadata = true;
                metadata = readMetadata(reader);
            } else if (ranges.containsKey(name)) {
                throw error(name, "duplicate tensor");
            } else {
                ranges.put(name, readTensor(reader, name));
            }
        }
        reader.endObject();
        if (reader.peek() != JsonToken.END_DOCUMENT) {
            throw new CheckpointException(file + ": something follows the header's JSON object");
        }
    }

    private Map<String, String> readMetadata(JsonReader reader)
            throws IOException, CheckpointException {
        Map<String, String> map = new LinkedHashMap<>();
        require(reader, JsonToken.BEGIN_OBJECT, METADATA, "must be an object of strings");
        reader.beginObject();
        while (reader.hasNext()) {
            String key = reader.nextName();
            require(reader, JsonToken.STRING, METADATA, "value of '" + key + "' is not a string");
            if (map.put(key, reader.nextString()) != null) {
                throw error(METADATA, "duplicate key '" + key + "'");
            }
        }
        reader.endObject();
        return Collections.unmodifiableMap(map);
    }

    private Range readTensor(JsonReader reader, String name)
            throws IOException, CheckpointException {
        String dtype = null;
        long[] shape = null;
        long[] offsets = null;
        Set<String> seen = new HashSet<>();
        require(reader, JsonToken.BEGIN_OBJECT, name, "entry is not a JSON object");
        reader.beginObject();
        while (reader.hasNext()) {
            String key = reader.nextName();
            if (!seen.add(key)) {
                throw error(name, "duplicate key '" + key + "'");
            }
            switch (key) {
                case "dtype":
                    require(reader, JsonToken.STRING, name, "dtype is not a string");
                    dtype = reader.nextString();
                    break;
                case "shape":
                    shape = readLongs(reader, name, key);
                    break;
                case "data_offsets":
                    offsets = readLongs(reader, name, key);
                    break;
                default:
                    throw error(
                            name, "unknown key '" + key + "'; known: dtype, shape, data_offsets");
            }
        }
        reader.endObject();
        if (dtype == null || shape == null || offsets == null) {
            throw error(name, "must have dtype, shape and data_offsets but has " + seen);
        }
        return check(name, dtype, shape, offsets);
    }

    private long[] readLongs(JsonReader reader, String name, String key)
            throws IOException, CheckpointException {
        List<Long> values = new ArrayList<>();
        require(reader, JsonToken.BEGIN_ARRAY, name, key + " is not an array");
        reader.beginArray();
        while (reader.hasNext()) {
            require(reader, JsonToken.NUMBER, name, key + " holds something else than a number");
            String number = reader.nextString();
            if (!SIZE.matcher(number).matches()) {
                throw error(name, key + " holds " + number + ", not an integer in [0, 10^18)");
            }
            values.add(Long.parseLong(number));
        }
        reader.endArray();
        return values.stream().mapToLong(Long::longValue).toArray();
    }

    private Range check(String name, String dtype, long[] shape, long[] offsets)
            throws CheckpointException {
        TensorType type = type(name, dtype);
        if (offsets.length != 2) {
            throw error(name, "data_offsets has " + offsets.length + " numbers instead of 2");
        }
        long begin = offsets[0];
        long end = offsets[1];
        if (begin > end) {
            throw error(name, "data_offsets [" + begin + ", " + end + "] end before they begin");
        }
        if (end > dataLength) {
            throw error(
                    name,
                    "data_offsets ["
                            + begin
                            + ", "
                            + end
                            + "] reach beyond the "
                            + dataLength
                            + " bytes of data; the file is truncated or damaged");
        }
        long elements = elements(name, shape);
        if (elements > Long.MAX_VALUE / type.bytes() || elements * type.bytes() != end - begin) {
            throw error(
                    name,
                    type
                            + " of shape "
                            + Arrays.toString(shape)
                            + " does not have the "
                            + (end - begin)
                            + " bytes of data_offsets ["
                            + begin
                            + ", "
                            + end
                            + "]");
        }
        return new Range(
                new TensorInfo(name, type, shape, elements, dataStart + begin), begin, end);
    }

    private TensorType type(String name, String dtype) throws CheckpointException {
        for (TensorType type : TensorType.values()) {
            if (type.name().equals(dtype)) {
                return type;
            }
        }
        throw error(
                name,
                "dtype '"
                        + dtype
                        + "' is not supported; supported: "
                        + Arrays.toString(TensorType.values()));
    }

    private long elements(String name, long[] shape) throws CheckpointException {
        long elements = 1;
        try {
            for (long dimension : shape) {
                elements = Math.multiplyExact(elements, dimension);
            }
        } catch (ArithmeticException e) {
            throw error(name, "shape " + Arrays.toString(shape) + " has more than 2^63 elements");
        }
        return elements;
    }

    private void checkTiling() throws CheckpointException {
        long position = 0;
        for (Range range : byOffset()) {
            if (range.begin != position) {
                throw error(
                        range.tensor.name(),
                        "data begins at offset "
                                + range.begin
                                + " of the data section "
                                + (range.begin < position
                                        ? "inside another tensor"
                                        : "after a hole")
                                + "; the data before it ends at "
                                + position);
            }
            position = range.end;
        }
        if (position != dataLength) {
            throw new CheckpointException(
                    file
                            + ": "
                            + (dataLength - position)
                            + " bytes at the end belong to no tensor, from offset "
                            + (dataStart + position));
        }
    }

    private List<Range> byOffset() {
        List<Range> sorted = new ArrayList<>(ranges.values());
        sorted.sort(Comparator.comparingLong(Range::begin).thenComparingLong(Range::end));
        return sorted;
    }

    private void require(JsonReader reader, JsonToken token, String name, String message)
            throws IOException, CheckpointException {
        if (reader.peek() != token) {
            throw error(name, message);
        }
    }

    private CheckpointException error(String tensor, String message) {
        return new CheckpointException(file + ": tensor '" + tensor + "': " + message);
    }
}
