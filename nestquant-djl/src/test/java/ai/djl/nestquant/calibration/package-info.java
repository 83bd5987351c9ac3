/** Tests of rounding with feedback. */
package ai.djl.nestquant.calibration;
