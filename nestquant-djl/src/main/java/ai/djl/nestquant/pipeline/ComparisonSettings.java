package ai.djl.nestquant.pipeline;

import java.nio.ByteBuffer;
import java.util.zip.CRC32;

/**
 * What the rows of a comparison have in common; rows of other settings must not stand beside them.
 *
 * <p>Immutable and safe for concurrent use.
 *
 * @param model the name of the model's directory
 * @param context the tokens of a window
 * @param windows the number of windows, one after the other without overlap
 * @param tokens the tokens in them
 * @param checksum CRC-32 of those tokens
 */
public record ComparisonSettings(
        String model, int context, int windows, long tokens, String checksum) {

    static ComparisonSettings of(String model, int context, TokenWindows windows) {
        CRC32 crc = new CRC32();
        for (int i = 0; i < windows.count(); i++) {
            long[] ids = windows.window(i);
            ByteBuffer bytes = ByteBuffer.allocate(ids.length * Long.BYTES);
            bytes.asLongBuffer().put(ids);
            crc.update(bytes);
        }
        return new ComparisonSettings(
                model,
                context,
                windows.count(),
                windows.tokens(),
                String.format("%08x", crc.getValue()));
    }
}
