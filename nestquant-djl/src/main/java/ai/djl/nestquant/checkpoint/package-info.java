/**
 * HuggingFace checkpoints on disk: memory-mapped safetensors, {@code config.json} and {@code
 * generation_config.json}.
 *
 * <p>Everything is validated before use; a file that cannot be used gives one {@link
 * ai.djl.nestquant.checkpoint.CheckpointException} naming the file and the tensor or key.
 */
package ai.djl.nestquant.checkpoint;
